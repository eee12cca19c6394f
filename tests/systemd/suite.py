"""All checks, one line each. Runs in the box, as root; `run` starts it."""

import sys
import time

import desk_checks
import install_checks
import journal_checks
import logind_checks
import package_checks
import service_checks
from desk import Desk, install
from machine import Failure, run

# In this order. `settle` runs before each, except the first two.
BEGINNING = [service_checks.no_login_session, logind_checks.found]
CHECKS = [
    service_checks.ready_is_ready,
    logind_checks.locked,
    logind_checks.started_locked,
    logind_checks.switched,
    logind_checks.again,
    logind_checks.left_behind,
    logind_checks.slept,
    logind_checks.woke_up_locked,
    logind_checks.woke_up_silently,
    logind_checks.logind_restarted_asleep,
    logind_checks.slept_without_graph,
    logind_checks.on_a_console,
    logind_checks.logind_restarted,
    logind_checks.bus_restarted,
    logind_checks.user_bus_restarted,
    desk_checks.meets,
    desk_checks.logs_rotate,
    desk_checks.keeps_others_out,
    desk_checks.trusts_no_other_user,
    journal_checks.followed,
    journal_checks.alone,
    service_checks.reloaded,
    service_checks.killed,
    service_checks.hung,
    service_checks.leaves_no_core,
    service_checks.budgets,
    install_checks.verified,
    service_checks.security,
    install_checks.confined,
    install_checks.of_a_package,
    install_checks.installed,
    install_checks.changed_over,
    install_checks.refused,
    install_checks.set_up,
    install_checks.with_a_configuration,
    install_checks.activated,
    install_checks.second,
    install_checks.sidecar,
    service_checks.logs_and_history,
    service_checks.stopped,
    service_checks.wrong_from_the_start,
    service_checks.the_manager_ends,
    service_checks.without_linger,
]
# Only for a package, and last.
if package_checks.PACKAGE.exists():
    CHECKS += [package_checks.upgraded, package_checks.removed]
    install = package_checks.install


def holds(check, desk):
    """Runs one check, and prints its line."""
    started = time.monotonic()
    try:
        if check in CHECKS:
            desk.settle()
        notes = check(desk) or []
        failure = None
    except Failure as failed:
        notes, failure = [], failed
    spent = time.monotonic() - started
    print(f"{'FAIL' if failure else 'ok':4} {spent:5.1f} s  {check.__doc__}", flush=True)
    for note in notes:
        print(f"{'':14}{note}", flush=True)
    if failure:
        print(f"{'':14}{failure}", flush=True)
        print(run("journalctl", "--quiet", "--no-pager", "-n20", "_SYSTEMD_USER_UNIT=presenced.service"), flush=True)
    return not failure


install()
desk = Desk()
# The first failure ends the run, because a failed check may leave anything behind.
sys.exit(0 if all(holds(check, desk) for check in BEGINNING + CHECKS) else 1)
