#!/bin/sh
# Makes sure that there is a GPU adapter: where none is found, installs a Vulkan driver that
# runs on the CPU, with the system's package manager. Says what it does.
#
# usage: scripts/ensure-adapter.sh target/release/autorep
set -eu

autorep=$1

found() {
    "$autorep" devices >/dev/null 2>&1
}

give_up() {
    echo "No GPU adapter was found: $1" >&2
    exit 1
}

if found; then
    exit 0
fi
# There the driver is a part of the system: nothing that could be installed would help.
if [ "$(uname -s)" != Linux ]; then
    give_up "run \"$autorep devices\" to see why."
fi

by_hand="install a Vulkan driver, such as mesa-vulkan-drivers (Debian, Ubuntu, Fedora) or \
vulkan-swrast (Arch), and run make again."

root=
if [ "$(id -u)" -ne 0 ]; then
    root=sudo
    command -v sudo >/dev/null || give_up "$by_hand"
fi

run() {
    echo "+ $*"
    # What asks questions would wait for ever where nobody watches.
    "$@" </dev/null
}

echo "No GPU adapter was found; installing a Vulkan driver that runs on the CPU."
if command -v apt-get >/dev/null; then
    run $root apt-get update || true
    run $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers || give_up "$by_hand"
elif command -v dnf >/dev/null; then
    run $root dnf install -y vulkan-loader mesa-vulkan-drivers || give_up "$by_hand"
elif command -v pacman >/dev/null; then
    # A partial upgrade could break an Arch system: the package lists are taken as they are.
    run $root pacman -S --noconfirm --needed vulkan-icd-loader vulkan-swrast || give_up "$by_hand"
else
    give_up "$by_hand"
fi

found || give_up "the driver was installed, but \"$autorep devices\" still finds none."
echo "The driver is installed."
