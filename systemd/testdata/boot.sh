#!/bin/sh
# Boots a systemd of its own, in namespaces of its own: boot.sh FOLDER CGROUP. All it writes goes into memory, over a view of this
# machine's files; FOLDER/files lies over that. It ends with 77 where this machine does not allow it.
set -eu
folder=$1 cgroup=$2
if [ -z "${BOOT_STAGE:-}" ]; then
	[ "$(id -u)" = 0 ] || exit 77
	mkdir "$cgroup" 2>/dev/null && echo $$ >"$cgroup/cgroup.procs" || exit 77
	BOOT_STAGE=2 exec unshare --cgroup -- sh "$0" "$folder" "$cgroup"
fi
root=$folder/root
mount --make-rprivate /
mkdir -p "$root" "$folder/memory"
mount -t tmpfs memory "$folder/memory"
mkdir "$folder/memory/upper" "$folder/memory/work"
mount -t overlay over -o "lowerdir=/,upperdir=$folder/memory/upper,workdir=$folder/memory/work" "$root" || exit 77
mount -t proc proc "$root/proc"
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
mount -t sysfs sysfs "$root/sys" || exit 77
mount -t cgroup2 cgroup "$root/sys/fs/cgroup" || exit 77
mount --rbind /dev "$root/dev"
# Nothing of this machine's own is to start.
rm -rf "$root"/etc/systemd/system/* "$root"/var/log/journal
mkdir -p "$root/var/log/journal"
cp -r "$folder/files/." "$root/"
chroot "$root" useradd --system --home-dir /var/lib/ringfence --shell /usr/sbin/nologin ringfence 2>/dev/null || true
cd /
exec chroot "$root" env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --unit=test.target
