#!/usr/bin/env bash
# Exit 0 when the report can be compiled, after installing LaTeX where that needs no password; else exit 1.
# With apt only: elsewhere the Makefile says what to install.
set -u
packages="latexmk texlive-latex-recommended texlive-latex-extra lmodern"

complete() {
    command -v latexmk >/dev/null && command -v kpsewhich >/dev/null &&
        for file in booktabs.sty microtype.sty adjustbox.sty draftwatermark.sty lmodern.sty; do
            kpsewhich "$file" >/dev/null || return 1
        done
}

complete && exit 0
command -v apt-get >/dev/null || exit 1
root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || exit 1
    root=(sudo -n)
fi
echo "installing LaTeX: $packages"
# shellcheck disable=SC2086  # one word per package
"${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
complete
