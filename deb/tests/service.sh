# SPDX-License-Identifier: MIT
# Sourced by the tests of windows: the installed service, run by hand as its unit would run it, with
# a configuration of its own, and windows opened by the installed hook.
set -eu

work=$(mktemp -d "${AUTOPKGTEST_TMP:-/tmp}/holdfast.XXXXXX")
chmod 755 "$work"
hook=/usr/lib/holdfast/fsfreeze-hook
socket=$work/run/control.sock
daemon=
server=

finish() {
    status=$?
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    stop_server || true
    [ "$status" -eq 0 ] || tail -n 30 "$work"/*.log || true
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# within SECONDS COMMAND...: until it succeeds.
within() {
    tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "not in time: $*"
        sleep 0.1
    done
}

ctl() { holdfastctl --socket="$socket" "$@"; }
is_ready() { ctl status 2>/dev/null | grep -q "^$1 *ready "; }

# start_service NAME: with the resource file $work/resources.d/NAME.conf.
start_service() {
    install -d -o holdfast -g holdfast "$work/run" "$work/state"
    cat >"$work/agent.conf" <<END
filesystems = none
resource-directory = $work/resources.d
run-directory = $work/run
state-directory = $work/state
END
    # Directly, not through a function: $! has to be the service.
    as_holdfast="setpriv --reuid=holdfast --regid=holdfast --init-groups"
    $as_holdfast holdfastd --config="$work/agent.conf" --check-config
    $as_holdfast holdfastd --config="$work/agent.conf" 2>"$work/holdfastd.log" &
    daemon=$!
    within 30 is_ready "$1"
}

# hook_gives STATUS VERB
hook_gives() {
    got=0
    "$hook" --socket="$socket" "$2" || got=$?
    [ "$got" -eq "$1" ] || fail "the hook ended with $got at '$2', not with $1"
}

# a_window WRITE COUNT: WRITE must wait in the window and be done after it, and the hold be proven.
a_window() {
    hook_gives 0 freeze
    "$1" &
    writer=$!
    sleep 1
    [ "$("$2")" = 0 ] || fail "a write went through in the window"
    hook_gives 0 thaw
    wait "$writer"
    [ "$("$2")" = 1 ] || fail "the write that waited is not there"
    ctl report | grep -q ' ok *$' || fail "the record does not say 'ok'"
}
