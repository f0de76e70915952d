"""What catalogue codes are called on a screen."""

from __future__ import annotations

from dialogs.values import Names, Text, text
from settings import Operator, Product


def product_name(operator: Operator, code: str) -> Names | Text | str:
    """The product's name in every language; a code no longer in the catalogue stands for itself."""
    if code == "airtime":
        return text("Airtime")
    if code == "gift":
        return text("Gift")
    if code == "credit_line":
        return text("Credit limit")
    if code == "adjustment":
        return text("Correction")
    product = find_product(operator.products, code)
    return code if product is None else Names(product.name)


def find_product(products: tuple[Product, ...], code: str) -> Product | None:
    """The product with this code, or None."""
    return next((product for product in products if product.code == code), None)
