"""The Bot API's words as ours and back. Source: https://core.telegram.org/bots/api, Bot API 10.0.

Of an update only what is needed is looked at: a text message, a contact that is the sender's own, a tap.
"""

from __future__ import annotations

from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.constants import ChatType, MessageLimit

from channels.chat.contract import ChatAnswer, Heard

APP = "telegram"
#: updates asked for; all others would only cost us
ALLOWED_UPDATES = ("message", "callback_query")
#: characters of one message (after parsing of entities, of which we send none)
TEXT_LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
#: what is longer is no input: nothing we ask for comes near
INPUT_LIMIT = 500


def read(update: Update) -> Heard | None:
    """What was heard; None for what we have no ear for: edits, pictures, joins."""
    query = update.callback_query
    if query is not None:
        return _tap(update.update_id, query)
    message = update.message
    return None if message is None else _message(update.update_id, message)


def _tap(update_id: int, query: CallbackQuery) -> Heard | None:
    message = query.message
    if message is None or query.data is None:  # a button under an inline message or a game: not ours
        return None
    return Heard(
        app=APP,
        update_id=str(update_id),
        chat=str(message.chat.id),
        private=message.chat.type == ChatType.PRIVATE,
        tapped=query.data,
        language=query.from_user.language_code or "",
    )


def _message(update_id: int, message: Message) -> Heard | None:
    person = message.from_user
    text = (message.text or "")[:INPUT_LIMIT]
    contact = message.contact
    if contact is not None and person is not None and contact.user_id == person.id:
        # The app vouches that this is the sender's own number; a one-time code is asked for all the same.
        text = f"+{contact.phone_number.lstrip('+')}"
    if not text:
        return None
    command, rest = _command(text)
    return Heard(
        app=APP,
        update_id=str(update_id),
        chat=str(message.chat.id),
        private=message.chat.type == ChatType.PRIVATE,
        text=rest,
        command=command,
        language=(person.language_code if person is not None else None) or "",
    )


def _command(text: str) -> tuple[str, str]:
    """``/balance@our_bot now`` → (``balance``, ``now``); a text that is no command comes back whole."""
    if not text.startswith("/"):
        return "", text
    word, _, rest = text[1:].partition(" ")
    return word.partition("@")[0].lower(), rest.strip()


def markup(answer: ChatAnswer) -> InlineKeyboardMarkup | None:
    """The buttons of an answer as an inline keyboard."""
    if not answer.rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(button.label, callback_data=button.data) for button in row] for row in answer.rows]
    )
