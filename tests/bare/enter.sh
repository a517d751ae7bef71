# sh enter.sh ROOT [PLACE…] -- COMMAND…: the first process of a bare machine, in mount and PID namespaces of its own.
#
# Makes ROOT the root of all (pivot_root(2): after chroot(2) the kernel refuses namespaces of users, which labs are
# made of), with its own /proc, /dev and /run. Each PLACE of the machine around it is shown there, to be read only.
# Then runs COMMAND, and takes in what it leaves behind.
set -eu
root=$1
shift

show() {
    if [ -d "$1" ]; then
        mkdir -p ".$1"
    else
        mkdir -p ".$(dirname "$1")"
        : >".$1"
    fi
    mount --bind "$1" ".$1"
    mount -o remount,bind,ro ".$1"
}

# device NAME MAJOR MINOR: if this machine has it, for everybody as udev makes it; who is not root shows it as it is.
device() {
    [ -e "/dev/$1" ] || return 0
    if ! mknod -m 0666 "dev/$1" c "$2" "$3" 2>/dev/null; then
        : >"dev/$1"
        mount --bind "/dev/$1" "dev/$1"
    fi
}

mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=0755 run run
mount -t tmpfs -o mode=0755 dev dev
mkdir dev/pts dev/shm dev/net
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
for name in null zero full random urandom tty; do
    : >"dev/$name"
    mount --bind "/dev/$name" "dev/$name"
done
device net/tun 10 200
device kvm 10 232
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
while [ "$1" != -- ]; do
    show "$1"
    shift
done
shift
mkdir .around
pivot_root . .around
cd /
umount -l .around
rmdir .around
hostname bare
"$@"
