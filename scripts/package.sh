#!/usr/bin/env bash
# What a release consists of.
#
#   scripts/package.sh version          the version in Cargo.toml
#   scripts/package.sh notes            what CHANGELOG.md says of that version
#   scripts/package.sh archive [TARGET] dist/autorep-VERSION-TARGET.tar.gz (.zip for Windows) of the
#                                       program that `cargo build --release [--target TARGET]` built
set -euo pipefail
cd "$(dirname "$0")/.."

version() {
    sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml
}

notes() {
    awk -v heading="## [$(version)]" '
        /^## / || /^\[.*\]: / { inside = 0 }
        inside { print; found = found || NF }
        index($0, heading) == 1 { inside = 1 }
        END { exit !found }
    ' CHANGELOG.md || { echo "CHANGELOG.md has nothing on $(version)" >&2; exit 1; }
}

archive() {
    local target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
    local folder=target${1:+/$1}/release program=autorep
    case "$target" in *-windows-*) program=autorep.exe ;; esac
    local name
    name=autorep-$(version)-$target
    rm -rf "dist/$name"
    mkdir -p "dist/$name/completions"
    cp "$folder/$program" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "dist/$name/"
    (
        cd "dist/$name"
        [ "$("./$program" --version)" = "autorep $(cd ../.. && version)" ]
        "./$program" completions bash > completions/autorep.bash
        "./$program" completions fish > completions/autorep.fish
        "./$program" completions powershell > completions/_autorep.ps1
        "./$program" completions zsh > completions/_autorep
        "./$program" man --out man/man1
    )
    case "$target" in
        *-windows-*) (cd dist && rm -f "$name.zip" && 7z a -bso0 "$name.zip" "$name") ;;
        *) tar -C dist -czf "dist/$name.tar.gz" "$name" ;;
    esac
    rm -r "dist/$name"
    ls -l dist
}

case "${1-}" in
    version | notes | archive) "$@" ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
