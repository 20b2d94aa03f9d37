#!/usr/bin/env bash
# Builds the image and runs it, without a Docker daemon and without an image registry: buildah on a base
# that debootstrap makes. Needs root, buildah and debootstrap; some minutes; nothing of it is kept.
#
#   MIRROR       Debian mirror for the base; that of this machine if left out
#   NPM_CONFIG_USERCONFIG, NODE_EXTRA_CA_CERTS: passed on to the build if they are set
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(id -u)" = 0 ] || { echo 'build-and-run: needs root, for debootstrap and chroot' >&2; exit 1; }
for tool in buildah debootstrap; do
  command -v "$tool" > /dev/null || { echo "build-and-run: $tool is not installed" >&2; exit 1; }
done

work=$(mktemp -d)
server=
container=
root=
cleanup() {
  [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
  # Lazily, for whatever still uses them: nothing of the machine's own may be under what is removed.
  for mounted in ${root:+"$root/dev" "$root/proc"}; do umount --lazy "$mounted" 2> /dev/null || true; done
  [ -z "$container" ] || image rm "$container" > /dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

image() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
say() { echo "build-and-run: $* (after ${SECONDS} s)"; }
fail() { echo "build-and-run: FAILED: $*" >&2; [ ! -f "$work/log" ] || cat "$work/log" >&2; exit 1; }

say 'making the base'
debootstrap --variant=minbase trixie "$work/base" ${MIRROR:+"$MIRROR"} > "$work/debootstrap.log" 2>&1 \
  || { tail -5 "$work/debootstrap.log" >&2; fail 'debootstrap'; }
base=$(image from scratch)
image add -q "$base" "$work/base" / > /dev/null
image config --cmd bash "$base"
image commit -q "$base" docker.io/library/debian:trixie-slim > /dev/null
image rm "$base" > /dev/null
rm -rf "$work/base"

say 'building the image'
passed=()
npmrc="$work/npmrc"
cat "${NPM_CONFIG_USERCONFIG:-/dev/null}" > "$npmrc"
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
  # Where Debian's ca-certificates looks for more of them, each in a file of its own.
  mkdir "$work/ca"
  awk -v folder="$work/ca" '/BEGIN CERT/ { n++ } n { print > (folder "/" n ".crt") }' "$NODE_EXTRA_CA_CERTS"
  printf '\ncafile=/etc/ssl/certs/ca-certificates.crt\n' >> "$npmrc"
  passed+=(--volume "$work/ca:/usr/local/share/ca-certificates:ro")
fi
# A machine behind a registry of its own says so in npm's configuration, which Bun reads, too.
passed+=(--volume "$npmrc:/root/.npmrc:ro")
image bud --isolation chroot --network host --pull-never --format docker -t glaze "${passed[@]}" . \
  > "$work/build.log" 2>&1 || { tail -30 "$work/build.log" >&2; fail 'the build'; }
image images --format '{{.Name}} {{.Size}}' | grep '/glaze '

say 'running it'
container=$(image from --pull-never localhost/glaze)
root=$(image mount "$container")
chroot=$(command -v chroot)
port=18741
# Takes the place of the shell that calls it: signals reach the server itself.
inside() {
  exec env -i PATH=/usr/local/bin:/usr/bin:/bin XDG_CACHE_HOME=/data/cache GLAZE_HOST=127.0.0.1 GLAZE_PORT=$port \
    "$chroot" --userspec=1000:1000 "$root" sh -c "cd /app && exec $1"
}
mount --bind /dev "$root/dev"
mount --bind /proc "$root/proc"
[ "$(image inspect --format '{{.OCIv1.Config.User}}' localhost/glaze)" = 1000:1000 ] || fail 'it runs as root'
inside 'bun src/main.ts serve' > "$work/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  grep -q '^serving' "$work/log" && break
  kill -0 "$server" 2> /dev/null || fail 'the server ended'
  sleep 0.2
done
grep -q '^adapter .*llvmpipe' "$work/log" || fail 'it does not run on lavapipe'
grep '^adapter\|^start' "$work/log"

reply=$(inside "bun -e \"
  const body = JSON.stringify({ prompt: 'Once upon a time', max_tokens: 64, temperature: 0 })
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch('http://127.0.0.1:$port/v1/completions', { method: 'POST', headers, body })
  const { choices } = await reply.json()
  const golden = await Bun.file('models/checkpoints/tales-gla-5m/golden.json').json()
  const { greedy_text } = golden.cases.find(({ prompt }) => prompt === 'Once upon a time')
  console.log(choices[0].text === greedy_text ? 'golden' : choices[0].text)
\"")
[ "$reply" = golden ] || fail "the text is not the golden one: $reply"
say 'it answers with the golden text'

check=$(sed -n 's/^  CMD \["bun", "-e", "\(.*\)"\]$/\1/p' Dockerfile)
(inside "bun -e \"$check\"") || fail 'the health check says no'
(inside 'sh -c "touch src/x" 2> /dev/null') && fail 'the user can write to the application'
(inside 'touch /data/x') || fail 'the user cannot write to /data'

kill -TERM "$server"
code=0; wait "$server" || code=$?
server=
[ "$code" = 0 ] || fail "exit code $code after SIGTERM"
say 'healthy, ended by SIGTERM with code 0: passed'
