# SPDX-License-Identifier: MIT
# /etc/cron.d/holdfast: every machine of /etc/holdfast/vms.d, each night at 1:30. One line per
# machine is mailed; add --quiet to hear of failures alone, or let notify-mail of host.conf tell. Exit status 3 is a backup below the
# preferred level.
MAILTO=root
PATH=/usr/sbin:/usr/bin:/sbin:/bin

30 1 * * *  root  [ -x /usr/bin/holdfast ] && holdfast backup --all
