"""Has bash do what bash is asked for: pipelines, here documents, process substitution, jobs, traps, descriptors.

Not at: reduced without own uid - /dev/stderr and process substitution are names below /proc
"""

import os
import subprocess
from pathlib import Path

Path("table.csv").write_text("name,count\nä,1\nb,2\n")
EXPECTED = {
    # pipelines
    "printf '%s\\n' pear apple fig apple | sort | uniq -c | sort -rn | head -1 | tr -s ' '": " 2 apple\n",
    "echo a | grep b || echo ${PIPESTATUS[1]}": "1\n",
    "seq 20 | xargs -n 5 -P 3 echo | wc -l": "4\n",
    "awk -F, 'NR > 1 {s += $2} END {print s}' table.csv": "3\n",
    "sed -e 's/,/;/' -e 1d table.csv | cut -d';' -f1 | paste -sd+ -": "ä+b\n",
    # here documents and substitution
    "cat <<END\n$((6 * 7)) $WORD\nEND": "42 word\n",
    "read -r x <<<'here string'; echo \"$x\"": "here string\n",
    "diff <(echo 1; echo 2) <(echo 1; echo 3) || true": "2c2\n< 2\n---\n> 3\n",
    "echo in > >(cat; echo behind); wait $!": "in\nbehind\n",
    "mapfile -t l < <(seq 3); echo ${l[*]}": "1 2 3\n",
    # descriptors
    "exec 5>five.txt; echo five >&5; exec 5>&-; cat five.txt; echo n >/dev/null; cat </dev/null": "five\n",
    "echo a > /dev/stdout; echo b | tee /dev/fd/1 | sort -r | head -1": "a\nb\n",
    "exec 3<>/dev/null; cat <&3; echo $(cat /dev/stdin <<<'from stdin')": "from stdin\n",
    # jobs, signals, time
    "for i in 1 2 3; do (sleep 0.01; exit $i) & done; wait; echo all": "all\n",
    "sleep 60 & kill $!; wait $! || echo $?": "143\n",
    "trap 'echo bye' EXIT; echo hello": "hello\nbye\n",
    "trap 'echo caught' USR1; kill -USR1 $$": "caught\n",
    "timeout 0.2 sleep 60 || echo $?": "124\n",
    "coproc cat; echo back >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x": "back\n",
    # the language
    "a=(x y z); declare -A m=([k]=v); echo ${#a[@]} ${a[-1]} ${m[k]} ${a[0]^^}": "3 z v X\n",
    "[[ abc =~ ^a(.)c$ ]] && echo ${BASH_REMATCH[1]}; printf -v x %05d 42; echo $x": "b\n00042\n",
    # files
    "mkdir -p d/e && cp table.csv d/e/ && mv d/e/table.csv d/f && ln -s f d/link && wc -l <d/link": "3\n",
    "tar czf d.tgz d && rm -r d && tar xzf d.tgz && ls d": "e\nf\nlink\n",
    "du -s d >/dev/null; df . >/dev/null 2>&1; find d -type f -print0 | xargs -0 sha256sum | wc -l": "1\n",
    "mktemp -d >/dev/null; stat -c %s table.csv; touch -d @0 t; date -u -r t +%Y": "20\n1970\n",
    # the machine
    "TZ=Asia/Tokyo date -d @0 +%H; uname -s": "09\nLinux\n",
    "od -An -tx1 -N2 /dev/full; head -c 16 /dev/urandom | base64 | wc -c": " 00 00\n25\n",
    "ulimit -S -c 0; ulimit -c; nproc >/dev/null; id -u >/dev/null": "0\n",
}
environment = {**os.environ, "WORD": "word"}
for script, expected in EXPECTED.items():
    answer = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (answer.stdout, answer.stderr, answer.returncode) == (expected, "", 0), (script, answer)

both = subprocess.run(["bash", "-c", "echo o > /dev/stdout; echo e > /dev/stderr"], capture_output=True)
assert (both.stdout, both.stderr) == (b"o\n", b"e\n")
# The session's own outputs, opened again by name.
assert subprocess.run(["bash", "-c", "echo seen > /dev/stderr"]).returncode == 0
assert subprocess.run("echo seen | tee /dev/stderr > /dev/null", shell=True).returncode == 0
print("done")
