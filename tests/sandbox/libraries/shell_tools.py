"""Shell scripts with the tools that are part of every Debian, and those that are there by chance."""

import shutil
import subprocess

SCRIPT = r"""
set -euo pipefail
mkdir -p dir/sub && printf 'b,2\na,1\nc,3\n' > dir/data.csv
[[ "$(sort dir/data.csv | sed -n 1p)" == a,1 ]]
[[ "$(cut -d, -f2 dir/data.csv | paste -sd+ | sed 's/+/ /g')" == '2 1 3' ]]
[[ "$(awk -F, '{ total += $2 } END { print total }' dir/data.csv)" == 6 ]]
[[ "$(grep -c '^[ab]' dir/data.csv)" == 2 && "$(wc -l < dir/data.csv)" -eq 3 ]]
sed -i 's/^a/z/' dir/data.csv && grep -q '^z,1' dir/data.csv
cp -a dir copy && mv copy/data.csv copy/moved.csv && ln -s moved.csv copy/link && ln copy/moved.csv copy/hard
cp --reflink=auto --sparse=always copy/moved.csv copy/again && install -m 600 copy/moved.csv copy/installed
tar czf all.tar.gz dir copy && mkdir restored && tar xzf all.tar.gz -C restored && diff -r copy restored/copy
tar cJf all.tar.xz dir && tar tJf all.tar.xz >list && gzip -k9 dir/data.csv && zcat dir/data.csv.gz | cmp - dir/data.csv
bzip2 -k dir/data.csv && xz -k dir/data.csv && xz -t dir/data.csv.xz
find . -name '*.csv' -newer all.tar.gz -print0 | xargs -0 -r ls -l >listed
find copy -type f -exec md5sum {} + | sha256sum | cut -c1-8 >sums
seq 1 200000 | shuf | sort -n --parallel=2 -S 1M | uniq | tail -n 1 | grep -qx 200000
split -l 1000 -d <(seq 1 5000) part. && cat part.* | tac | sed -n 1p | grep -qx 5000
dd if=/dev/zero of=zeros bs=64k count=16 status=none && truncate -s 10K zeros && stat -c %s zeros | grep -qx 10240
head -c 100 /dev/urandom | base64 | tr -d '\n' | od -c | tail -n 1 >octal
comm -12 <(seq 5) <(seq 3 9) | join - <(seq 4 5) | nl | expand >joined
date -u -d '2025-01-31 + 1 month' +%F >day; touch -d 2020-01-01 dir/old; chmod -R u+w copy; chown -R "$(id -u):$(id -g)" copy
timeout 10 sleep 0.01; nice -n 5 true; nproc >/dev/null; id >/dev/null; uname -a >/dev/null; df . >/dev/null; du -sh . >/dev/null
env -i A=1 bash -c '[[ $A == 1 ]]'; printenv PATH >/dev/null; tee copied <dir/data.csv >/dev/null; mktemp -d >/dev/null
sleep 30 & kill $!; wait $! || [[ $? -eq 143 ]]
trap 'echo trapped >trapped' USR1; kill -USR1 $$; [[ -s trapped ]]
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; [[ $line == through ]]; kill "$COPROC_PID"
exec 5<>opened; echo x >&5; exec 5>&-; : >&2 2>/dev/null; (ulimit -n 64; ulimit -a >/dev/null)
(set -m; sleep 0.01 & wait); flock lock true; realpath copy/link | xargs basename >/dev/null; rm -rf restored copy dir
"""
OPTIONAL = {
    "jq": """[[ "$(echo '{"a":[1,2]}' | jq '.a | add')" == 3 ]]""",
    "bc": """[[ "$(echo '2^64' | bc)" == 18446744073709551616 ]]""",
    "rg": "echo needle >hay && rg -q needle .",
    "zip": "echo x >zipped && zip -q z.zip zipped && unzip -p z.zip | grep -qx x",
    "sqlite3": """[[ "$(sqlite3 shell.db 'pragma journal_mode=wal; create table t(n); insert into t values (1); select 5')" == *5 ]]""",
    "perl": """[[ "$(perl -e 'print join ",", sort { $b <=> $a } 1..3; exit 0')" == 3,2,1 ]]""",
    "patch": "printf 'a\\n' >p && printf -- '--- p\\n+++ p\\n@@ -1 +1 @@\\n-a\\n+b\\n' | patch -s && grep -qx b p",
    "make": "printf 'all: one two\\none two:\\n\\t@echo $@ >$@\\n' >Makefile && make -sj2 && [[ -s two ]]",
    "git": "git init -q repo && cd repo && echo x >f && git add f && git -c user.name=a -c user.email=a@b commit -qm m && git log --stat | grep -q 'f | 1'",
    "file": "echo text >text && file text | grep -qi ascii",
    "xxd": "echo abc | xxd | xxd -r | grep -qx abc",
    "gcc": "printf 'int main(void) { return 0; }' >c.c && gcc c.c -o c && ./c",
    "node": """[[ "$(node -e 'setTimeout(() => console.log(1 + 1), 5)')" == 2 ]]""",
}
subprocess.run(["bash", "-c", SCRIPT], check=True)
subprocess.run(
    [
        "sh",
        "-c",
        "set -e; x=$(printf %s a); case $x in a) ;; *) exit 1 ;; esac; (exit 0) && echo $((6 * 7)) >n",
    ],
    check=True,
)
for tool, script in OPTIONAL.items():
    if shutil.which(tool):
        subprocess.run(["bash", "-c", f"set -e; {script}"], check=True)
print("ok")
