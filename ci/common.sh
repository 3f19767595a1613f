# Sourced by the scripts beside it. Each of them works alone, from anywhere; says what it is about to do, what it does not
# cover, and in its last line what ran.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
name="ci/$(basename "$0")"
export CARGO_TERM_COLOR=never RUST_BACKTRACE=1
target_dir="${CARGO_TARGET_DIR:-$PWD/target}"
unset CARGO_TARGET_DIR

# The tool is not here. That is no reason to fail on somebody's laptop; where CI_REQUIRE is set, it is.
missing() {
    echo "$name: SUMMARY: NOTHING RAN: $1"
    if [ -n "${CI_REQUIRE:-}" ]; then exit 1; fi
    exit 0
}

summary() { echo "$name: SUMMARY: $1"; }

# The nightly to use: RIPCORD_NIGHTLY names another toolchain than plain `nightly`.
need_nightly() {
    nightly="${RIPCORD_NIGHTLY:-nightly}"
    nightly="${nightly#+}"
    # Asked for as rustup has it, so that nothing is installed behind anybody's back.
    export RUSTUP_AUTO_INSTALL=0
    version=$(rustc "+$nightly" --version 2>/dev/null) || missing "no toolchain \`$nightly\` (rustup toolchain install nightly)"
    host=$(rustc "+$nightly" -vV | sed -n 's/^host: //p')
    echo "$name: $version, $host"
}

# Runs the lean package's tests under a sanitizer: the library and the tests are instrumented, and what they depend on.
# Every object goes through the allocator, whose tricks the sanitizer needs to see a touch that comes too late.
# Arguments: the sanitizer, its target directory, and what goes to cargo test.
sanitized() {
    local sanitizer=$1 directory=$2
    shift 2
    RUSTFLAGS="${RUSTFLAGS:-} --cfg ripcord_unpooled -Zsanitizer=$sanitizer ${extra_flags:-}" \
        cargo "+$nightly" test --manifest-path ci/lean/Cargo.toml --target "$host" \
        --target-dir "$target_dir/$directory" ${build_std:-} "$@"
}
