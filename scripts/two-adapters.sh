#!/usr/bin/env bash
# A sweep spread over two adapters, where there may be no GPU at all: Mesa's software driver and SwiftShader,
# which Debian has in its package of Chromium.
#
# usage: scripts/two-adapters.sh COMMAND…
#
# runs the command with both. ICD names SwiftShader's file, where it lies elsewhere.
# Exit code 3: one of them is missing and could not be had, nothing was run.
set -euo pipefail
cd "$(dirname "$0")/.."

not_run() {
    echo "NOT RUN: $1" >&2
    exit 3
}

lavapipe=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1) ||
    not_run "Mesa's software driver is missing: install mesa-vulkan-drivers"

work=target/swiftshader
icd=${ICD:-}
for place in "$work"/usr/lib/chromium /usr/lib/chromium; do
    [ -n "$icd" ] || [ ! -e "$place/vk_swiftshader_icd.json" ] || icd=$place/vk_swiftshader_icd.json
done
if [ -z "$icd" ]; then
    command -v apt-get dpkg-deb >/dev/null || not_run "SwiftShader is missing: name its file in ICD"
    echo "fetching SwiftShader"
    mkdir -p "$work"
    (cd "$work" && apt-get download -qq chromium-common 2>/dev/null) ||
        not_run "Debian's package chromium-common, which has SwiftShader, cannot be had"
    # The driver and the file that names it; no program is installed.
    dpkg-deb --fsys-tarfile "$work"/chromium-common_*.deb |
        tar -x -C "$work" --wildcards './usr/lib/chromium/*vk_swiftshader*' ||
        not_run "chromium-common has no SwiftShader any more"
    rm "$work"/chromium-common_*.deb
    icd=$work/usr/lib/chromium/vk_swiftshader_icd.json
fi
VK_DRIVER_FILES=$lavapipe:$(realpath "$icd")
export VK_DRIVER_FILES
exec "$@"
