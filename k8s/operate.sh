#!/bin/sh
# Runs one of the operators' commands in the cluster, and prints what it says:
#
#   k8s/operate.sh keys list
#   k8s/operate.sh account create --email root@example.org --role admin --password-stdin <password.txt
#
# It makes a Job from the CronJob `operate`, which never runs by itself, with these arguments.
set -eu
namespace=${NAMESPACE:-countersign}
job=operate-$(date +%s)
[ $# -gt 0 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# The arguments as a list in JSON.
list=
for argument in "$@"; do
    quoted=$(printf '%s' "$argument" | sed 's/[\\"]/\\&/g')
    list="$list${list:+,}\"$quoted\""
done

kubectl --namespace "$namespace" create job "$job" --from=cronjob/operate --dry-run=client --output=json |
    kubectl patch --local --filename=- --type=json --output=json \
        --patch="[{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/args\",\"value\":[$list]}]" |
    kubectl --namespace "$namespace" create --filename=- >/dev/null

case " $* " in
    *' --password-stdin '*)
        kubectl --namespace "$namespace" wait --for=jsonpath='{.status.ready}'=1 --timeout=2m "job/$job" >/dev/null
        kubectl --namespace "$namespace" attach --stdin --quiet "job/$job"
        ;;
    *) kubectl --namespace "$namespace" logs --follow --pod-running-timeout=2m "job/$job" ;;
esac
kubectl --namespace "$namespace" wait --for=condition=Complete --timeout=1m "job/$job" >/dev/null
