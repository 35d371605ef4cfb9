"""``chat-service check``."""

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode, describe
from chat_service.cli.parameters import json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async
from chat_service.errors import ConfigurationError, StoreError

#: How each verdict looks.
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@subcommand(
    "check",
    """
    chat-service check --config chat.toml        # the file, then the store that it names
    chat-service check --url redis://localhost
    chat-service check --config chat.toml --strict && chat-service serve --config chat.toml
    """,
)
@click.option("--strict", is_flag=True, help="Fail also for warnings.")
@json_option
@takes_target
@click.pass_context
def command(ctx: click.Context, target: Target, strict: bool, as_json: bool) -> None:
    """Check a configuration and its store: connection, version, permissions, bus, latency, clocks.

    A few keys below PREFIX:{check:...} are written and removed at once; nothing else is changed.
    """
    from chat_service.cli.checking import Finding, Verdict, check_store

    findings = []
    failure: int = ExitCode.FAILED
    if target.settings is not None:
        from chat_service.cli.assembly import find_faults

        path = target.settings.path
        for fault in find_faults(target.settings, target.faults):
            failure = ExitCode.CONFIGURATION
            detail = f"{path}: {fault.text}"
            findings.append(Finding(name="configuration", verdict=Verdict.FAILED, detail=detail))
        if not findings:
            findings.append(Finding(name="configuration", verdict=Verdict.OK, detail=path))
    if not target.is_readable:
        # It is said above, and there is nothing to look at.
        pass
    elif target.store_type == "memory" and target.settings is not None:
        findings.append(Finding(name="store", verdict=Verdict.OK, detail="memory: one process, gone with it"))
    else:
        try:
            findings += run_async(check_store(target.make_store(is_strict=False)))
        except (StoreError, ConfigurationError) as error:
            # Nothing else can be checked then.
            findings.append(Finding(name="connection", verdict=Verdict.FAILED, detail=str(error)))
            if failure == ExitCode.FAILED:
                failure, _ = describe(error)
    verdicts = {finding.verdict for finding in findings}
    is_good = Verdict.FAILED not in verdicts and not (strict and Verdict.WARNING in verdicts)
    if as_json:
        items = [
            {"check": finding.name, "verdict": str(finding.verdict), "detail": finding.detail}
            for finding in findings
        ]
        output.print_json({"ok": is_good, "checks": items})
    else:
        rows = [
            (finding.name, output.text(finding.verdict, STYLES[finding.verdict]), finding.detail)
            for finding in findings
        ]
        output.print_table(("check", "verdict", "detail"), rows)
        if failure == ExitCode.CONFIGURATION and findings[0].verdict is Verdict.FAILED:
            more = sum(finding.name == findings[0].name for finding in findings) - 1
            raise CliError(failure, findings[0].detail + (f" (and {more} more)" if more else ""))
    ctx.exit(ExitCode.OK if is_good else failure)
