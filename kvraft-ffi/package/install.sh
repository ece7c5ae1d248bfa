#!/bin/sh
# Installs libkvraft for C and C++: header, wrapper, libraries, pkg-config and CMake files.
#
#     install.sh BUILT PREFIX
#
# BUILT is the directory that has libkvraft.so and libkvraft.a. What is below PREFIX may be moved
# later as a whole. DESTDIR is put in front of PREFIX.
set -eu

built=$1
prefix=${DESTDIR:-}$2
package=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
include=$package/../../include

version=$(sed -n 's/^#define KVRAFT_VERSION "\(.*\)"$/\1/p' "$include/kvraft.h")
case $version in
    0.*) abi=$(echo "$version" | cut -d. -f1,2) ;;
    *) abi=$(echo "$version" | cut -d. -f1) ;;
esac

fill_in() {
    sed -e "s/@VERSION@/$version/g" -e "s/@ABI@/$abi/g" "$package/$1.in" >"$2/$1"
    chmod 644 "$2/$1"
}

mkdir -p "$prefix/include" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/kvraft"
install -m 644 "$include/kvraft.h" "$include/kvraft.hpp" "$prefix/include"
install -m 755 "$built/libkvraft.so" "$prefix/lib/libkvraft.so.$version"
[ "$abi" = "$version" ] || ln -sf "libkvraft.so.$version" "$prefix/lib/libkvraft.so.$abi"
ln -sf "libkvraft.so.$abi" "$prefix/lib/libkvraft.so"
install -m 644 "$built/libkvraft.a" "$prefix/lib"
fill_in kvraft.pc "$prefix/lib/pkgconfig"
fill_in kvraft-static.pc "$prefix/lib/pkgconfig"
fill_in kvraft-config.cmake "$prefix/lib/cmake/kvraft"
fill_in kvraft-config-version.cmake "$prefix/lib/cmake/kvraft"

echo "kvraft $version is in $prefix:"
du -kL "$prefix/lib/libkvraft.so" "$prefix/lib/libkvraft.a" | sed 's/^\([0-9]*\)/\1 KiB/'
