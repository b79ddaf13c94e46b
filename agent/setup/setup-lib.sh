# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the plugins' setup programs have in common: the command line, the steps, the notes of what was
# made, the resource file. To be read by a program that sets
#
#   plugin                   its plugin's name
#   usage_text               for --help
#   default_config           the resource file, unless --config says otherwise
#
# and has the functions
#
#   take_option ARGUMENT     takes one of its own options, or fails
#   check_arguments          calls fail, if it can tell beforehand that it will not work
#   find_servers             calls `found` for each server that runs here
#   plan_steps               reads what there is, and calls `step` for each statement that is missing,
#                            and then `resource_file`
#   run_statement TEXT       runs one statement as the server's administrator
#   describe                 prints the line that names the server
#
# Used alone, a program does it and prints what it does. With a verb it speaks JSON lines; see
# SETUP PROGRAMS in holdfastctl(8).

set -eu

program=holdfast-$plugin-setup
verb=
removing=no
config=
state=/var/lib/holdfast-setup

fail() {
  echo "$program: $1" >&2
  exit "${2:-1}"
}

# The text as a JSON string.
quoted() {
  printf '"%s"' "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' |
    sed -e ':again' -e 'N' -e '$!b again' -e 's/\n/\\n/g')"
}

# report KIND TEXT [CONTENT]: one step, to whoever asked.
report() {
  if [ -n "$verb" ]; then
    printf '{"step":"%s","text":%s' "$1" "$(quoted "$2")"
    [ $# -lt 3 ] || printf ',"content":%s' "$(quoted "$3")"
    printf '}\n'
    return
  fi
  case $1 in
    statement) echo "  $2;" ;;
    file) echo "wrote '$2'; to use it: systemctl restart holdfastd" ;;
    *) echo "$2" ;;
  esac
}

# found NAME WHAT ARGUMENT...: a server, and the arguments that mean it.
found() {
  printf '{"name":%s,"what":%s,"arguments":[' "$(quoted "$1")" "$(quoted "$2")"
  shift 2
  separator=
  for argument; do
    printf '%s%s' "$separator" "$(quoted "$argument")"
    separator=,
  done
  printf ']}\n'
}

notes() {
  echo "$state/$plugin-$(basename "$config" .conf)"
}

# note_line KIND TEXT, before the step is taken: what is noted and was not done can be taken back all
# the same.
note_line() {
  [ -e "$(notes)" ] || (
    umask 077
    set -f
    mkdir -p "$state"
    for argument in $given; do echo "argument $argument"; done >"$(notes)"
  )
  printf '%s %s\n' "$1" "$2" >>"$(notes)"
}

# step STATEMENT [UNDO]
step() {
  if [ "$verb" != plan ]; then
    [ -z "${2:-}" ] || note_line undo "$2"
    run_statement "$1" >/dev/null || fail "unable to run: $1"
  fi
  report statement "$1"
}

# has_lines FILE LINE...: whatever the blanks around '='.
has_lines() {
  [ -e "$1" ] || return 1
  plain=$(sed -e 's/ *= */ = /' -e 's/ *$//' "$1")
  shift
  for line; do
    printf '%s\n' "$plain" | grep -qxF "$line" || return 1
  done
}

# resource_file CONTENT LINE...: unless there is one, or another one of this plugin with these lines.
resource_file() {
  if [ -e "$config" ]; then
    report note "'$config' exists and stays as it is"
    return
  fi
  content=$1
  shift
  for other in "$(dirname "$config")"/*.conf; do
    if has_lines "$other" "plugin = $plugin" "$@"; then
      report note "'$other' is for this server, and stays as it is"
      return
    fi
  done
  if [ "$verb" != plan ]; then
    mkdir -p "$(dirname "$config")"
    note_line file "$(printf '%s\n' "$content" | sha256sum | cut -d' ' -f1) $config"
    (umask 027 && printf '%s\n' "$content" >"$config.new")
    ! getent group holdfast >/dev/null 2>&1 || chgrp holdfast "$config.new"
    mv "$config.new" "$config"
  fi
  report file "$config" "$content"
}

# Takes back what the notes say, the last first.
remove_all() {
  if [ ! -e "$(notes)" ]; then
    report note "nothing that was made for '$config' is noted in '$state'"
    return
  fi
  # What becomes statements and paths below must be root's own words.
  [ "$(stat -c %u "$(notes)")" = "$(id -u)" ] || fail "'$(notes)' belongs to somebody else"
  tac "$(notes)" >"$(notes).reversed"
  while read -r kind text; do
    case $kind in
      undo)
        [ "$verb" = plan ] || run_statement "$text" >/dev/null </dev/null ||
          fail "unable to run: $text"
        report statement "$text"
        ;;
      file)
        remove_file "${text%% *}" "${text#* }"
        ;;
    esac
  done <"$(notes).reversed"
  rm -f "$(notes).reversed"
  [ "$verb" = plan ] || rm -f "$(notes)"
}

# remove_file SUM PATH
remove_file() {
  [ -e "$2" ] || return 0
  if [ "$1" != any ] && [ "$(sha256sum <"$2" | cut -d' ' -f1)" != "$1" ]; then
    report note "'$2' has been changed since, and stays"
    return 0
  fi
  [ "$verb" = plan ] || rm -f "$2"
  report remove "$2"
}

# What was made, by its notes.
find_made() {
  for made in "$state/$plugin"-*; do
    case $made in *.reversed) continue ;; esac
    [ -f "$made" ] || continue
    set --
    while read -r kind text; do
      [ "$kind" != argument ] || set -- "$@" "$text"
    done <"$made"
    found "${made#"$state/$plugin-"}" "what was made for $plugin" "$@"
  done
}

# listeners PROGRAM...: the unix sockets on which processes of these names listen, one a line. Those
# of containers are left out: their paths mean nothing here.
listeners() {
  here=$(readlink /proc/self/ns/mnt)
  for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    case " $* " in *" $name "*) ;; *) continue ;; esac
    [ "$(readlink "$process/ns/mnt")" = "$here" ] || continue
    sockets_of "$process"
  done 2>/dev/null | sort -u
}

# sockets_of /proc/PID: the unix sockets with a path on which this process listens.
sockets_of() {
  for descriptor in "$1"/fd/*; do
    inode=$(readlink "$descriptor") || continue
    case $inode in socket:*) inode=${inode#socket:[} ;; *) continue ;; esac
    # num refcount protocol flags type state inode path; 00010000: it listens
    sed -n "s|^[^ ]* [^ ]* [^ ]* 00010000 [^ ]* [^ ]* *${inode%]} \(/.*\)\$|\1|p" "$1/net/unix"
  done 2>/dev/null
}

# "/run/mysqld/second.sock" -> "run-mysqld-second"
name_from() {
  printf '%s' "$1" | sed -e 's/\.sock$//' -e 's|^/*||' -e 's/[^A-Za-z0-9]\{1,\}/-/g' | tail -c 40 |
    sed 's/^-*//'
}

is_name() {
  case $1 in
    '' | *[!A-Za-z0-9_-]*) fail "'$1' is not a user name" ;;
  esac
}

is_path() {
  case $1 in
    *[[:space:]\'\"\\]* | [!/]*) fail "'$1' is not an absolute path" ;;
  esac
}

setup_main() {
  given=
  for argument; do
    case $argument in
      detect | plan | apply)
        [ -z "$verb" ] || fail "unknown argument '$argument'" 64
        verb=$argument
        continue
        ;;
      --remove)
        removing=yes
        continue
        ;;
      --config=?*) config=${argument#*=} ;;
      --state=?*) state=${argument#*=} ;;
      --help)
        printf '%s\n' "$usage_text"
        exit 0
        ;;
      *) take_option "$argument" || fail "unknown argument '$argument'" 64 ;;
    esac
    given="$given $argument"
  done
  : "${config:=$default_config}"
  is_path "$config"
  is_path "$state"
  if [ "$verb" = detect ]; then
    if [ "$removing" = yes ]; then find_made; else find_servers; fi
    return
  fi
  check_arguments
  if [ "$removing" = yes ]; then
    remove_all
    return
  fi
  [ -n "$verb" ] || describe
  plan_steps
}
