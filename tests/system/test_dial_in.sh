#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster without a launcher: workers dial in, in any order and again after the coordinator has
# died; nobody without the key gets in; the text is the same as that of one process.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/cluster.sh"
N_TOKENS=400

# The texts are those of one process.
expect_text() {
	text_and_kill $N_TOKENS 999999999 :
	[ "$client_code" = 0 ] || fail "$what: client ended with $client_code"
	same_text
	echo "$what: the same text"
}

reference $N_TOKENS

what='a worker that is there before the coordinator'
cluster_port=$((20000 + $$ % 10000))
cluster=127.0.0.1:$cluster_port
start_worker early
wait_for grep -q 'connection refused' "$dir/early.log" || fail "$what: it does not dial"
start_coordinator 2
start_worker late
start_worker more
wait_ready
expect_text
wait_status '^more .*spare\|^late .*spare\|^early .*spare'

what='strangers'
(umask 077 && echo 00112233445566778899aabbccddeeff >"$dir/wrong.key")
right_key=$key_file
key_file=$dir/wrong.key
start_worker stranger
wait_for grep -q 'cluster key file' "$dir/stranger.log" ||
	fail "$what: a worker with a wrong key is not told: $(cat "$dir/stranger.log")"
key_file=$right_key
head -c 20000 /dev/urandom >"$dir/junk"
for junk in /dev/null "$dir/junk" "$MODEL"; do
	bash -c "cat '$junk' >/dev/tcp/127.0.0.1/$cluster_port" 2>/dev/null
done
list_workers | grep -q stranger && fail "$what: one without the key is listed"
expect_text

what='a second process with the id of another'
"$BUILDDIR/stagecoachd" --role worker --coordinator "$cluster" --cluster-key-file "$key_file" \
	--worker-id "$(name_of late)" -m "$MODEL" --config /dev/null 2>"$dir/twin.log"
[ $? = 78 ] || fail "$what: its exit code"
grep -q "worker-id: another process of this machine is worker late-$$" "$dir/twin.log" ||
	fail "$what: $(cat "$dir/twin.log")"

what='a worker of another coordinator with the same id'
"$BUILDDIR/stagecoachd" --role worker --coordinator 127.0.0.1:1 --cluster-key-file "$key_file" \
	--worker-id late -m "$MODEL" --config /dev/null 2>"$dir/apart.log" &
apart=$!
wait_for grep -q 'will try again' "$dir/apart.log" || fail "$what: $(cat "$dir/apart.log")"
kill -9 $apart
wait $apart

what='a key file that others may read'
chmod 644 "$key_file"
"$BUILDDIR/stagecoachd" --role worker --coordinator "$cluster" --cluster-key-file "$key_file" \
	--worker-id "$(name_of other)" -m "$MODEL" --config /dev/null 2>"$dir/open.log"
[ $? = 78 ] || fail "$what: its exit code"
chmod 600 "$key_file"

what='another model'
"$BUILDDIR/tests/system/write_model" tied "$dir/other.gguf" || fail "write_model"
right_model=$MODEL
MODEL=$dir/other.gguf
start_worker other
MODEL=$right_model
wait_for grep -q 'another model' "$dir/other.log" ||
	fail "$what: it is not told: $(cat "$dir/other.log")"
expect_text

what='a coordinator that was killed and started again'
before=$(pid_of_worker early)
kill -9 "$coordinator"
wait "$coordinator" 2>/dev/null
start_coordinator 2
wait_ready
[ "$before" = "$(pid_of_worker early)" ] && kill -0 "$before" || fail "$what: a worker has ended"
expect_text

what='a coordinator that was stopped in good order'
kill -TERM "$coordinator"
wait "$coordinator"
[ $? = 0 ] || fail "$what: its exit code"
start_coordinator 2
wait_ready
expect_text

what='another key, without a stop'
old=$(cat "$key_file")
new=ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100
reload() {
	printf '%s\n' "$@" >"$key_file"
	n=$((n_reloads += 1))
	kill -HUP "$coordinator" $(pid_of_worker early) $(pid_of_worker late) $(pid_of_worker more)
	for id in early late more; do
		wait_for has_reloaded $id || fail "$what: $id does not reload"
	done
}
has_reloaded() { [ "$(grep -c 'cluster keys were read again' "$dir/$1.log")" = $n_reloads ]; }
n_reloads=0
reload "$old" "$new"
reload "$new" "$old"
reload "$new"
printf '%s\n' "$old" >"$dir/old.key"
chmod 600 "$dir/old.key"
key_file=$dir/old.key
start_worker outdated
wait_for grep -q 'cluster key file' "$dir/outdated.log" || fail "$what: the old key is valid"
key_file=$right_key
expect_text

what='a worker that is told to end'
# The last of the workers may still be dialling the coordinator that was started again.
wait_status ' spare'
id=$(list_workers | sed -n 's/^\([a-z]*\) .*spare.*/\1/p' | head -n 1)
kill -TERM "$(pid_of_worker "$id")"
wait "$(pid_of_worker "$id")"
[ $? = 0 ] || fail "$what: its exit code: $(cat "$dir/$id.log")"
wait_status "^$id .*gone"
expect_text

stop_cluster
[ "$code" = 0 ] || fail "the coordinator ended with $code"
expect_none_left
