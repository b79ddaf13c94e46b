# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the plugins' prove programs have in common: the command line, the resource file, the recorded
# position, and the lines that they answer with. To be read, after setup-lib.sh, by a program that
# sets
#
#   plugin                   its plugin's name
#   usage_text               for --help
#
# and has the functions
#
#   reach       calls `verdict up`; fails unless the server answers as it should
#   examine     calls `verdict sound`
#   locate      calls `verdict position`
#
# See PROVE PROGRAMS in holdfastctl(8).

program=holdfast-$plugin-prove
config=
positions=

# verdict CHECK ok|bad|none TEXT: one answer; control characters have no place in one.
verdict() {
  printf '{"check":"%s","verdict":"%s","text":%s}\n' "$1" "$2" \
    "$(quoted "$(printf '%s' "$3" | tr -s '\000-\037' ' ' | cut -c 1-600)")"
}

# setting KEY DEFAULT: of the resource file, as holdfastd reads it.
setting() {
  value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$config" | tail -n 1 |
    sed -e 's/[[:space:]]*#.*//' -e 's/[[:space:]]*$//')
  printf '%s' "${value:-${2:-}}"
}

# recorded KEY: of the position under the lock, empty if it was not recorded.
recorded() {
  printf '%s' "$positions" | sed -n "s/^$1=//p"
}

# first_lines FILE COUNT WHAT: what a list of problems is told as.
first_lines() {
  total=$(wc -l <"$1")
  printf '%s' "$(head -n "$2" "$1" | paste -s -d ';' | sed 's/;/; /g')"
  [ "$total" -le "$2" ] || printf '; and %d more' $((total - $2))
}

prove_main() {
  for argument; do
    case $argument in
      --config=?*) config=${argument#*=} ;;
      # One line each, whatever blanks there are in it.
      --recorded=?*=*) positions="$positions$(printf '%s' "${argument#*=}" | tr -d '\n\r')
" ;;
      --help)
        printf '%s\n' "$usage_text"
        exit 0
        ;;
      *) fail "unknown argument '$argument'" 64 ;;
    esac
  done
  : "${config:=$default_config}"
  is_path "$config"
  [ -r "$config" ] || fail "unable to read '$config'"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM
  reach || return 0
  examine
  locate
}
