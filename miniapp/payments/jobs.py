"""What the worker may call here: job name → job, for ``wiring``."""

from miniapp.outbox.jobs import Job, Local
from miniapp.payments import door, following, refunding, vouching

JOBS: dict[str, Job] = {
    "payments.follow_charge": following.FOLLOW,
    "payments.refund": refunding.SEND,
    "payments.vouch": vouching.VOUCH,
    "payments.forget_door": Local(door.forget),
}
