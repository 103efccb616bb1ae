"""Platforms without a passive reply: the answer goes out as a message of its own, recorded in the outbox first."""

from sqlalchemy import select

from miniapp import db
from miniapp.chat import dialogue
from miniapp.chat.models import Notice
from miniapp.core.clock import now
from miniapp.outbox import service as outbox


def answer_later(
    *, account: str, platform: str, app_id: str, open_id: str, text: str, key: str, public_base: str
) -> None:
    """One turn whose reply is a notice to the same person; the same message again sends nothing twice."""
    reply = dialogue.answer(
        account=account,
        platform=platform,
        app_id=app_id,
        open_id=open_id,
        text=text,
        key=key,
        public_base=public_base,
    )
    if not reply:
        return
    notice_key = f"reply:{account}:{key}"[:160]
    with db.transaction() as session:
        if session.scalar(select(Notice.id).where(Notice.key == notice_key)) is not None:
            return
        notice = Notice(
            key=notice_key,
            app_id=app_id,
            open_id=open_id,
            subject="reply",
            subject_id=0,
            content={"words": reply},
            state="waiting",
            created_at=now(),
        )
        session.add(notice)
        session.flush()
        outbox.put(session, "chat.send", key=str(notice.id), notice_id=notice.id)
