#!/bin/sh
# Lays out the root of the image in FOLDER: the executable, the libraries that it is
# linked to, and what those read. There is no shell in it and nothing to install with.
#
#   rootfs.sh EXECUTABLE FOLDER
#
# It runs in the stage that has built the executable, so that it gets the very
# libraries it was linked against.
set -eu
executable=$1
root=$2

# $1 and the folders above it, at the same place below the root.
take() {
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}

mkdir -p "$root"
install -D -m 0755 "$executable" "$root/usr/bin/countersign"

# `name => path (address)`, and the loader as `path (address)`.
libraries=$(ldd "$executable" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
for library in $libraries; do
    take "$library"
done

# Who signs for brokers, where no file of authorities is set.
take /etc/ssl/certs/ca-certificates.crt
take /etc/os-release

# Names come from the cluster's files first, then from its DNS.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'countersign:x:65532:65532:countersign:/nonexistent:/sbin/nologin' >"$root/etc/passwd"
echo 'countersign:x:65532:' >"$root/etc/group"

# Scanners learn from here which packages the files are of, and how old they are.
mkdir -p "$root/var/lib/dpkg/status.d"
for library in $libraries /etc/ssl/certs/ca-certificates.crt; do
    case $library in
        *ca-certificates.crt) package=ca-certificates ;;
        # A folder may be a link to another, and packages know one of the names.
        *) package=$(dpkg-query --search "$(readlink -f "$library")" "$library" 2>/dev/null | head -n 1 | cut -d: -f1) ;;
    esac
    [ -n "$package" ] || { echo "no package has $library" >&2; exit 1; }
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
    take "/usr/share/doc/$package/copyright"
done
