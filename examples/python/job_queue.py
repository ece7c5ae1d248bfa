"""A queue of jobs that survives its workers: a job whose worker dies goes to the next one.

    python job_queue.py --endpoints 127.0.0.1:7001 --cluster-secret-file secret add "first job"
    python job_queue.py --endpoints 127.0.0.1:7001 --cluster-secret-file secret work
    python job_queue.py --endpoints 127.0.0.1:7001 --cluster-secret-file secret report

A worker *claims* a job with its *lease*: the claim ends with the worker, whatever ends that. A job
is done in one transaction that asks whether the claim is still the worker's own, so that none is
done twice. The report is made by one process at a time, which holds a *lock*; its fencing token
keeps one that was paused from overwriting the report of its successor.
"""

import argparse
import time
from typing import Any

import kvraft
from kvraft import Compare, Op

Jobs = kvraft.ReplicatedMap[str, Any]


def add(jobs: Jobs, text: str) -> str:
    """Put a job at the end of the queue, and return its key."""
    key = f"job/{jobs.increment('jobs'):012}"
    jobs[key] = {"text": text}
    return key


def claim(jobs: Jobs, lease: kvraft.Lease) -> tuple[kvraft.Entry[str, Any], int] | None:
    """Claim the first job that nobody else has; return it and the revision of the claim."""
    claimed = {key.removeprefix("claim/") for key in jobs.keys("claim/")}
    for job in jobs.scan("job/"):
        if job.key in claimed:
            continue
        try:
            return job, jobs.put(f"claim/{job.key}", lease.id, if_absent=True, lease=lease)
        except kvraft.ConflictError:
            continue  # Another worker was faster.
    return None


def finish(jobs: Jobs, job: kvraft.Entry[str, Any], claimed_at: int, result: object) -> bool:
    """Replace a job by its result, unless the claim was lost meanwhile."""
    own = Compare[str, Any].revision(f"claim/{job.key}", "==", claimed_at)
    done = [
        Op[str, Any].delete(job.key),
        Op[str, Any].delete(f"claim/{job.key}"),
        Op[str, Any].put(f"done/{job.key}", result),
    ]
    return jobs.txn([own, Compare.present(job.key)], done).succeeded


def work(jobs: Jobs, *, seconds: float = 0.0) -> int:
    """Do jobs until none is left, and return how many were done here."""
    done = 0
    with jobs.lease(ttl=5) as lease:
        while claimed := claim(jobs, lease):
            job, claimed_at = claimed
            time.sleep(seconds)  # What the job is.
            if finish(jobs, job, claimed_at, job.value["text"].upper()):
                print(f"{job.key}: {job.value['text']}", flush=True)
                done += 1
    return done


def report(jobs: Jobs) -> dict[str, Any]:
    """Count what is done and what is not; one process at a time."""
    with jobs.lock("report", timeout=30) as lock:
        counts = {"done": jobs.count("done/"), "waiting": jobs.count("job/"), "token": lock.token}
        before = jobs.get_entry("report")
        if before is None or before.value["token"] < lock.token:
            jobs.put("report", counts, if_revision=before.revision if before else 0)
    return counts


def main() -> None:
    """Do what the command says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--endpoints", required=True)
    parser.add_argument("--cluster-secret-file", required=True)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long a job takes")
    parser.add_argument("command", choices=["add", "work", "report"])
    parser.add_argument("texts", nargs="*", help="the jobs to add")
    options = parser.parse_args()
    with kvraft.connect(
        options.endpoints, codec="json", cluster_secret_file=options.cluster_secret_file
    ) as jobs:
        if options.command == "add":
            for text in options.texts:
                print(add(jobs, text))
        elif options.command == "work":
            print(f"{work(jobs, seconds=options.seconds)} done")
        else:
            print(report(jobs))


if __name__ == "__main__":
    main()
