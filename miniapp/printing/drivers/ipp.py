"""Network printers that speak IPP: the office printer, driverless."""

from collections.abc import Callable

from miniapp.platforms import ipp
from miniapp.platforms.http import NoAnswer
from miniapp.platforms.ipp import Answer, Attributes, HttpRefused
from miniapp.printing import drivers as port
from miniapp.printing.drivers import Setting

CHECK_SECONDS = 2.0
PRINT_SECONDS = 10.0

# Reasons carry a severity that printers do not agree on (-report, -warning, -error): only the stem counts.
_SEVERITIES = ("-report", "-warning", "-error")
_OBSTACLES = {
    ("media-empty", "media-needed", "media-jam"): "driver.paper",
    ("toner-empty", "marker-supply-empty", "ink-empty", "marker-waste-full"): "driver.ink",
    ("cover-open", "door-open", "interlock-open", "input-tray-missing"): "driver.cover",
    ("paused", "offline", "shutdown", "stopped", "spool-area-full", "fuser-over-temp"): "driver.stopped",
}
_STATE_PROCESSING, _STATE_STOPPED = 4, 5
_JOB_STARTED_NOT_ENDED = (3, 4, 5, 6)
_JOB_CANCELLED, _JOB_ABORTED, _JOB_COMPLETED = 7, 8, 9
_JOB_ATTRIBUTES = ["job-id", "job-name", "job-state", "job-state-reasons", "time-at-processing"]
# Said before a byte of the document was used.
_NOTHING_PRINTED = (0x0501, 0x0503, 0x0506, 0x0507, 0x0509)


class IppDriver:
    """One IPP printer, at ``ipp://host:631/ipp/print``."""

    SETTINGS: tuple[Setting, ...] = ()
    formats = ("application/pdf",)

    def __init__(self, settings: port.PrinterSettings) -> None:
        self._uri = settings.uri

    def check(self) -> port.PrinterState:
        wanted = ["printer-state", "printer-state-reasons", "printer-is-accepting-jobs"]
        try:
            answer = ipp.ask(
                self._uri, ipp.GET_PRINTER, {"requested-attributes": wanted}, read_seconds=CHECK_SECONDS
            )
        except (NoAnswer, HttpRefused):
            return port.PrinterState("driver.no_connection")
        if not answer.went_well:
            return port.PrinterState("driver.no_connection")
        return _printer_state(answer.printer)

    def send(self, document: bytes, name: str, before_first_byte: Callable[[], None]) -> port.SendAnswer:
        job = {"job-name": name, "document-format": self.formats[0]}
        refused = self._precheck(dict(job))
        if refused:
            return refused
        before_first_byte()
        try:
            answer = ipp.ask(
                self._uri, ipp.PRINT_JOB, dict(job), document=document, read_seconds=PRINT_SECONDS
            )
        except HttpRefused as no:
            return port.Refused(f"http_{no.status}", "driver.refused", again=False)
        except NoAnswer as none:
            if not none.sent:
                return port.Refused(none.reason, "driver.no_connection", again=True)
            return port.Uncertain(none.reason)
        return _sent(answer)

    def ask(self, name: str, device_ref: str = "") -> port.AskAnswer:
        """By the printer's own number while it still means our job, else by name in both of its lists."""
        try:
            job = self._job_by_number(name, device_ref) or self._job_by_name(name)
        except (NoAnswer, HttpRefused) as error:
            return port.Unknown(str(error), device_ref)
        if job is None:  # proves nothing: history is short and ends with a restart
            return port.Unknown("no_such_job", device_ref)
        return _job_state(job)

    def _precheck(self, job: ipp.Asked) -> port.Refused | None:
        try:
            answer = ipp.ask(self._uri, ipp.VALIDATE_JOB, job, read_seconds=CHECK_SECONDS)
        except (NoAnswer, HttpRefused) as error:
            return port.Refused(str(error), "driver.no_connection", again=True)
        return None if answer.went_well else _refused(answer)

    def _job_by_number(self, name: str, device_ref: str) -> Attributes | None:
        if not (device_ref.isascii() and device_ref.isdigit()):
            return None
        asked: ipp.Asked = {"job-id": int(device_ref), "requested-attributes": _JOB_ATTRIBUTES}
        answer = ipp.ask(self._uri, ipp.GET_JOB, asked)
        jobs = [job for job in answer.jobs if job.get("job-name") == [name]]
        return jobs[0] if answer.went_well and jobs else None  # numbers begin anew after a restart

    def _job_by_name(self, name: str) -> Attributes | None:
        for which in ("not-completed", "completed"):
            asked: ipp.Asked = {"which-jobs": which, "requested-attributes": _JOB_ATTRIBUTES}
            for job in ipp.ask(self._uri, ipp.GET_JOBS, asked).jobs:
                if job.get("job-name") == [name]:
                    return job
        return None


def stem(reason: str) -> str:
    """A state reason without its severity."""
    for severity in _SEVERITIES:
        reason = reason.removesuffix(severity)
    return reason


def _printer_state(printer: Attributes) -> port.PrinterState:
    stems = [stem(str(reason)) for reason in printer.get("printer-state-reasons", []) if reason != "none"]
    stopping = {text: key for names, key in _OBSTACLES.items() for text in stems if text.startswith(names)}
    state = (printer.get("printer-state") or [None])[0]
    obstacle = next(iter(stopping.values()), "")
    if not obstacle and state == _STATE_STOPPED:
        obstacle = "driver.stopped"
    if not obstacle and printer.get("printer-is-accepting-jobs") == [False]:
        obstacle = "driver.not_accepting"
    warnings = tuple(text for text in stems if text not in stopping)
    return port.PrinterState(obstacle, tuple(stopping), warnings, busy=state == _STATE_PROCESSING)


def _sent(answer: Answer) -> port.SendAnswer:
    if answer.went_well:
        number = (answer.jobs[0].get("job-id") or [None])[0] if answer.jobs else None
        return port.Sent(str(number)) if isinstance(number, int) else port.Uncertain("no_job_number")
    if 0x0400 <= answer.status < 0x0500 or answer.status in _NOTHING_PRINTED:
        return _refused(answer)
    return port.Uncertain(f"ipp_{answer.status:04x}")


def _refused(answer: Answer) -> port.Refused:
    code = f"ipp_{answer.status:04x}"
    if answer.status == ipp.BUSY:
        return port.Refused(code, "driver.busy", again=True)
    if answer.status == ipp.NOT_ACCEPTING:
        return port.Refused(code, "driver.not_accepting", again=True)
    if answer.status in (ipp.FORMAT_NOT_SUPPORTED, 0x040B):
        return port.Refused(code, "driver.format", again=False)
    return port.Refused(code, "driver.refused", again=answer.status >= 0x0500)


def _job_state(job: Attributes) -> port.AskAnswer:
    state, number = (job.get("job-state") or [None])[0], (job.get("job-id") or [""])[0]
    reasons = tuple(str(reason) for reason in job.get("job-state-reasons", []) if reason != "none")
    if state == _JOB_COMPLETED:
        return port.Printed(f"job {number} completed")
    if state in _JOB_STARTED_NOT_ENDED:
        return port.Printing(str(number), reasons)
    never_begun = job.get("time-at-processing") == [None]
    if state in (_JOB_CANCELLED, _JOB_ABORTED) and never_begun:
        return port.NotPrinted(f"job {number} ended before it began")
    return port.Unknown(f"job_state_{state}", str(number))  # ended midway: paper may be out


KIND = IppDriver
