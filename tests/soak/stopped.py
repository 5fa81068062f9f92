#!/usr/bin/env python3
"""Workers that stand still (SIGSTOP), with the default settings. Under the policy turn: the one whose turn it is; the
same, but it goes on before the master loses patience; one whose turn it is not; all but one. Under exclusive and
reuseport: the one that accepts most. Connections that come meanwhile are answered within stall_kill + 2 s, those that
come after at once; only what the standing one had accepted may fail, and only if it was killed. Nobody is killed whom
nobody waits for, and SIGCONT at last does no harm.

--policy: only this one."""
import os
import signal
import time

from soak import Kills, Run, options, pids, status, wait_for

WORKERS = 4
RATE = 100
STALL_KILL = 5
LIMIT = STALL_KILL + 2
AFTER_MS = 500  # a lost wake-up would cost a second or more

args = options(__doc__, policy="all")


class Scene:
    """A server of its own under load."""

    def __init__(self, run, what, policy):
        self.run, self.what = run, f"{policy}: {what}"
        self.all_accept = policy != "exclusive"  # there the kernel chooses
        self.server = run.serve(run.who(f"policy = {policy}"), server={"workers": WORKERS})
        self.holder, self.kills = run.holder(self.server), Kills()
        self.client = run.arrivals(self.server, "/who", "-p", "-r", RATE, "-t", 20000)
        wait_for(lambda: status(self.server)["totals"]["accepts"] > RATE, 10, "there is no load")
        self.stopped = []

    def stop(self, *victims):
        for v in victims:
            self.kills.add([v])
            self.stopped.append(v["pid"])
        self.start = time.monotonic()

    def is_there(self, pid):
        return pid in self.server.workers()

    def go_on(self):
        """SIGCONT for whoever has stopped; it may be dead by now."""
        for pid in self.stopped:
            if self.is_there(pid):
                os.kill(pid, signal.SIGCONT)

    def stand(self, seconds):
        """Until it is killed, or so long; returns who has been killed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(map(self.is_there, self.stopped)):
            time.sleep(0.02)
        self.stood = time.monotonic() - self.start
        return [pid for pid in self.stopped if not self.is_there(pid)]

    def judge(self, limit):
        """Ends the load; everybody has been answered in time, and all workers take part again."""
        wait_for(lambda: len(pids(status(self.server))) == WORKERS, 20, "not all workers are there")
        time.sleep(1)
        end = self.client.stop()
        strangers = self.kills.strangers(end.failures)
        self.run.check(f"{self.what}: {end.answered} of {end.begun} answered, {len(strangers)} failed that the "
                       f"standing one did not have", not strangers, f"{strangers[:20]}\n{end}")
        self.run.check(f"{self.what}: longest wait {end.ms('wait', 'max') / 1000:.2f} s",
                       end.wait_us["max"] < limit * 1e6, end)
        again = self.run.arrivals(self.server, "/who", "-p", "-r", RATE, "-n", 2 * RATE).result()
        self.run.check(f"{self.what}: afterwards p99 {again.ms('wait', 'p99'):.1f} ms, {again.failed} failed, "
                       f"{len(again.by_pid)} workers accept",
                       again.failed == 0 and again.wait_us["p99"] < AFTER_MS * 1000 and
                       (len(again.by_pid) == WORKERS or not self.all_accept), again)
        self.run.note(f"{self.what}: {self.told()}")
        self.server.stop()
        return end

    def told(self):
        lines = [line for line in self.server.log().splitlines() if "stall" in line]
        return "the log says: " + " | ".join(lines[-3:]) if lines else "the log says nothing of it"


def holder_stays(run):
    s = Scene(run, "the holder stands", "turn")
    s.stop(s.holder.stop_holder())
    killed = s.stand(LIMIT)
    run.check(f"{s.what}: killed after {s.stood:.1f} s", bool(killed) and STALL_KILL - 1 <= s.stood <= LIMIT)
    s.go_on()
    s.judge(LIMIT)


def holder_goes_on(run):
    s = Scene(run, "the holder stands for 2 s", "turn")
    s.stop(s.holder.stop_holder())
    run.check(f"{s.what}: it is not killed", not s.stand(2))
    s.go_on()
    end = s.judge(3)
    run.check(f"{s.what}: nobody has failed", end.failed == 0, end)


def other_stands(run):
    s = Scene(run, "another stands for 8 s", "turn")
    s.stop(s.holder.stop_other(s.server.workers()))
    run.check(f"{s.what}: it is not killed", not s.stand(STALL_KILL + 3))
    answered = s.server.get("/who").status
    s.go_on()
    end = s.judge(STALL_KILL + 4)  # those it had accepted wait as long as it stands
    late = [w for w in end.slowest if w["pid"] not in s.stopped]
    worst = max((w["wait_us"] for w in late), default=0) / 1e6
    run.check(f"{s.what}: nobody has failed, the others' longest wait is {worst:.2f} s",
              answered == 200 and end.failed == 0 and worst < LIMIT, end)


def all_but_one_stand(run):
    s = Scene(run, "the holder and two more stand", "turn")
    first = s.holder.stop_holder()
    others = [p for p in s.server.workers() if p != first["pid"]]
    second = s.holder.stop_other(others)
    s.stop(first, second, s.holder.stop_other([p for p in others if p != second["pid"]]))
    killed = s.stand(LIMIT)
    run.check(f"{s.what}: the holder is killed, the others are not", killed in ([], [first["pid"]]))
    wait_for(lambda: status(s.server), 5)
    run.check(f"{s.what}: the holder is gone", not s.is_there(first["pid"]))
    s.go_on()
    s.judge(LIMIT + 2)


def busiest_stands(run, policy, dies):
    s = Scene(run, "the busiest stands", policy)
    busiest = max(status(s.server)["workers"], key=lambda w: w["accepts"])
    s.stop(s.holder.stop_other([busiest["pid"]]))
    killed = s.stand(LIMIT)
    if dies:
        run.check(f"{s.what}: killed after {s.stood:.1f} s", bool(killed) and STALL_KILL - 1 <= s.stood <= LIMIT)
    else:
        run.check(f"{s.what}: it is not killed", not killed)
    s.go_on()
    s.judge(LIMIT + 1)


with Run() as run:
    if args.policy in ("all", "turn"):
        for scene in (holder_stays, holder_goes_on, other_stands, all_but_one_stand):
            scene(run)
    if args.policy in ("all", "exclusive"):
        busiest_stands(run, "exclusive", False)
    if args.policy in ("all", "reuseport"):
        busiest_stands(run, "reuseport", True)
