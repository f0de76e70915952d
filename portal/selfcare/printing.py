"""A receipt on paper: one page of PDF that says what was booked, with the signed receipt attached to it.

What is printed is for people; the file ``receipt.json`` within (ISO 32000-1 §7.11.4, embedded files) proves itself
against the operator's public key, without the paper and without us: ``manage.py receipt verify``.
"""

from __future__ import annotations

from pathlib import Path

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, WrapMode, XPos, YPos
from fpdf.fonts import FontFace

from portal.selfcare.paper import Paper

FONTS = Path(__file__).parent / "fonts"
FONT = "DejaVu"
#: millimetres
MARGIN = 20.0
#: ISO 216 A5
PAGE = (148.0, 210.0)
#: name of the attachment
ATTACHED = "receipt.json"
GREEN, GREY, LINE = (11, 107, 87), (76, 90, 84), (216, 224, 221)


def printed(paper: Paper, signed: bytes) -> bytes:
    """The page as PDF, with ``signed`` attached."""
    pdf = FPDF(format=PAGE)
    pdf.set_margins(MARGIN, MARGIN)
    pdf.set_auto_page_break(auto=True, margin=MARGIN)
    pdf.add_font(FONT, "", FONTS / "DejaVuSans.ttf")
    pdf.add_font(FONT, "B", FONTS / "DejaVuSans-Bold.ttf")
    direction = "rtl" if paper.rtl else "ltr"
    pdf.set_text_shaping(use_shaping_engine=True, direction=direction)
    pdf.set_lang(paper.language)
    pdf.set_title(f"{paper.title} · {paper.operator}")
    pdf.set_creation_date(paper.at)
    pdf.add_page()
    side = Align.R if paper.rtl else Align.L
    _line(pdf, paper.operator, side, size=11, bold=True, colour=GREEN)
    _line(pdf, paper.title, side, size=16, bold=True)
    _line(pdf, paper.amount, side, size=24, bold=True, colour=GREEN)
    pdf.ln(4)
    _facts(pdf, paper)
    pdf.ln(6)
    pdf.set_font(FONT, "", 8)
    pdf.set_text_color(*GREY)
    pdf.multi_cell(0, 4.5, paper.foot, align=side, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.embed_file(bytes=signed, basename=ATTACHED, mime_type="application/json", compress=True)
    return bytes(pdf.output())


def _line(
    pdf: FPDF, said: str, side: Align, *, size: int, bold: bool = False, colour: tuple[int, int, int] = (20, 32, 28)
) -> None:
    pdf.set_font(FONT, "B" if bold else "", size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, size * 0.6, said, align=side, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _facts(pdf: FPDF, paper: Paper) -> None:
    pdf.set_font(FONT, "", 10)
    pdf.set_text_color(20, 32, 28)
    pdf.set_draw_color(*LINE)
    sides = (Align.L, Align.R) if paper.rtl else (Align.R, Align.L)
    with pdf.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        first_row_as_headings=False,
        col_widths=(3, 2) if paper.rtl else (2, 3),
        text_align=sides if paper.rtl else (Align.L, Align.R),
        line_height=7,
        wrapmode=WrapMode.CHAR,
    ) as table:
        for name, value in paper.facts:
            row = table.row()
            cells = (value, name) if paper.rtl else (name, value)
            for cell in cells:
                row.cell(cell, style=FontFace(color=GREY) if cell is name else None)
