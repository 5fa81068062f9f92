/* turn.pml - a model of the accept turn (src/ipc/turn.c) for spin; run.sh runs it.
 *
 * Some workers (three, or WORKERS) share a robust lock that is only ever tried. Its holder sleeps with the listeners armed, takes one
 * connection, gives the turn away, and only then runs a handler, which may never return. Checked: two workers never
 * have the turn at once, and when nothing can move any more no connection is left waiting (no lost turn).
 *
 * It starts as an idle server: all sleep, the last worker has the turn. Every access to memory that two processes write is a
 * step of its own.
 *
 *   KILL=N   worker N is killed between any two steps; the master then clears its slot, rings the others, and (RESPAWN)
 *            starts a successor
 *   STOP=N   worker N is stopped for ever, but not while it has the turn (that is KILL's business in the end). The master
 *            helps once: it declares lost who sleeps on a kick, and rings all
 *   SLEEP=N  worker N sleeps and never wakes up. When it has been kicked, the master declares it lost and rings all; then
 *            two more connections come
 *   DRAIN    worker 2 stops taking turns at some moment
 *   ERR=N    the master declares worker N lost at some moment, though it is not
 *   LEVELS   workers are FIT, FULL or UNFIT (resting for a while), and CHANGES times one becomes something else: the
 *            holder by the connection it accepts, others by what happens on their own connections. A FULL worker may
 *            have the turn while nobody is FIT, and then turns connections away. A connection may be left waiting for a
 *            FIT worker whose handler never returns.
 *
 * Controls, each leaves one rule out and must fail:
 *   NOREPARK    no second try of the lock after parking
 *   NORECHECK   who kicks does not look whether the sleeper was just leaving
 *   NOSLEEPER   the turn is left to whom we kicked even when he is awake
 *   BADORDER    the flag is cleared before the bell is drained    (with KILL)
 *   NORESCUE    the master rings nobody after a death             (with KILL)
 *   PARKEDONLY  the master rings only who is parked at the moment (with KILL)
 *   NOFORWARD   a kicked worker that cannot take turns keeps the kick to itself (with DRAIN or LEVELS)
 *   NOLOST      kicks still go to the lost one                    (with SLEEP)
 *   NOCALL      the master declares it lost and rings nobody      (with STOP)
 *   STILLLOST   only waking up clears the mark of the lost, not parking (with ERR)
 *   NOFULL      nobody kicks a FULL worker                        (with LEVELS)
 *   EARLYLOOK   a FULL worker looks for FIT ones before it parks only (with LEVELS)
 *   SILENT      who is not FIT any more, and has not the turn, tells nobody (with LEVELS)
 *   NOLOOK      a FULL holder turns a connection away without a look at the others (with LEVELS) */
#ifndef WORKERS
#define WORKERS 3
#endif
#define FREE    255 /* nobody holds the lock */
#define ORPHAN  254 /* its holder has died: the next one who tries gets it */
#define NOBODY  255

#define UNFIT 0
#define FULL  1
#define FIT   2

#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif
#ifndef STUCK
#define STUCK 1 /* most handlers that never return: one worker must be left */
#endif
#ifndef CHANGES
#define CHANGES 2
#endif

bit parked[WORKERS], kick[WORKERS], bell[WORKERS];
byte fit[WORKERS];
byte owner = WORKERS - 1;
byte waiting = CONNECTIONS - 1; /* connections that nobody has accepted; one more comes later */
byte own_event;                 /* something for worker 1 on a connection that it has */
byte stuck;                     /* handlers that have not returned */
byte dead = NOBODY, halted = NOBODY;
bit reaped;                     /* the dead process has left nothing behind */
bit running;                    /* all workers have been started */
#if defined(STOP) || defined(SLEEP) || defined(ERR)
bit lost[WORKERS];
#define IS_LOST(i) lost[i]
#define BE_FOUND   lost[me] = 0;
#else
#define IS_LOST(i) false
#define BE_FOUND
#endif
#ifdef NOLOST
#define IS_SKIPPED(i) false
#else
#define IS_SKIPPED(i) IS_LOST(i)
#endif
#ifdef LEVELS
byte changes;
bit shifted; /* somebody's fitness has changed since the holder woke up */
#define REST_IS_OVER (fit[me] == UNFIT)
#else
#define REST_IS_OVER false
#endif

#define NEXT(i)  ((i + 1) % WORKERS)
#define ROOM(i)  (fit[i] == FIT && !IS_LOST(i))
#if WORKERS == 2
#define ANY(what) (what(0) || what(1))
#else
#define ANY(what) (what(0) || what(1) || what(2))
#endif

/* Sets ok: may we have the turn? Whoever is FULL looks at the others one by one. */
inline may()
{
#ifdef LEVELS
    ok = (fit[me] != UNFIT);
    if
    :: atomic { fit[me] == FULL -> j = 0 };
        do
        :: atomic { j == WORKERS -> j = 0; break }
        :: atomic { j < WORKERS && ROOM(j) -> j = 0; ok = 0; break }
        :: atomic { j < WORKERS && !ROOM(j) -> j++ }
        od
    :: else
    fi
#else
    ok = (fit[me] == FIT)
#endif
}

inline try_lock()
{
    d_step {
        if
        :: ok -> heir = NOBODY
        :: else
        fi;
        if
        :: ok && !have && (owner == FREE || owner == ORPHAN) -> owner = me; have = 1
        :: else
        fi;
        ok = 0
    }
}

/* Whom we kicked last has not woken yet: the turn is his, if we have had more than our share (or not: both are tried). */
inline respect()
{
    if
    :: atomic { !have && heir != NOBODY && kick[heir] -> skip };
        if
#ifdef NOSLEEPER
        :: atomic { fit[heir] == FIT && !IS_LOST(heir) -> ok = 0 }
#else
        :: atomic { parked[heir] && fit[heir] == FIT && !IS_LOST(heir) -> ok = 0 }
#endif
        :: true
        fi
    :: else
    fi
}

inline try_turn()
{
#ifdef LEVELS
    may();
    try_lock()
#else
    atomic {
        may();
        try_lock()
    }
#endif
}

/* Whom we kicked is leaving: it may have missed the kick. */
inline recheck()
{
    if
#ifdef NORECHECK
    :: atomic { true -> j = 0; ok = 1; break }
#else
    :: atomic { parked[j] -> heir = j; j = 0; ok = 1; break }
    :: atomic { !parked[j] -> j = NEXT(j) }
#endif
    fi
}

#define SLEEPS(i, level) (parked[i] && fit[i] == level && !IS_SKIPPED(i))

/* Kicks the next sleeper of that level; sets ok when there is one. */
inline kick_level(level)
{
    atomic { ok = 0; j = NEXT(me) };
    do
    :: atomic { j == me -> j = 0; break }
    :: atomic { j != me && !SLEEPS(j, level) -> j = NEXT(j) }
    :: atomic { j != me && SLEEPS(j, level) -> skip };
        if
        :: atomic { !kick[j] -> kick[j] = 1 }; bell[j] = 1
        :: kick[j]
        fi;
        recheck()
    od
}

inline pass_on()
{
    kick_level(FIT);
#if defined(LEVELS) && !defined(NOFULL)
    if
    :: atomic { !ok -> j = 0 };
        do
        :: atomic { j == WORKERS -> j = 0; break }
        :: atomic { j < WORKERS && ROOM(j) -> j = 0; ok = 1; break }
        :: atomic { j < WORKERS && !ROOM(j) -> j++ }
        od
    :: else
    fi;
    if
    :: !ok -> kick_level(FULL)
    :: else
    fi;
#endif
    ok = 0
}

inline wait()
{
    d_step {
        bell[me] || (me == 1 && own_event) || (have && waiting) || REST_IS_OVER ->
        assert(!have || owner == me);
        rung = bell[me];
        event = have && waiting;
        if
        :: me == 1 && own_event -> own_event--; busy = 1
        :: else
        fi
#ifdef LEVELS
        ;
        if
        :: event && fit[me] == FULL -> roomy = ANY(ROOM); shifted = 0
        :: else
        fi;
        if
        :: fit[me] == UNFIT -> fit[me] = FIT; shifted = 1
        :: else
        fi
#endif
    }
}

inline hear()
{
#ifdef BADORDER
    kick[me] = 0;
    bell[me] = 0;
#else
    bell[me] = 0;
    kick[me] = 0;
#endif
#ifdef LEVELS
    may();
#else
    ok = (fit[me] == FIT);
#endif
    if
    :: atomic { ok -> try_lock() }
#ifdef NOFORWARD
    :: !ok
#else
    :: !ok -> pass_on()
#endif
    fi
}

/* The holder accepts: nobody else takes what is waiting. */
inline accept()
{
    d_step {
#ifdef LEVELS
        assert(!(fit[me] == FULL && roomy && !shifted));
        roomy = 0;
#endif
        waiting--;
        busy = 1
    }
#ifdef LEVELS
    ;
    if
    :: d_step { changes < CHANGES && fit[me] == FIT -> fit[me] = FULL; changes++; shifted = 1 }
    :: d_step { changes < CHANGES && fit[me] == FIT -> fit[me] = UNFIT; changes++; shifted = 1 }
    :: true
    fi
#endif
}

/* What happens on our own connections, or on listeners without turns. */
inline change()
{
    if
    :: d_step { changes < CHANGES && fit[me] == FULL -> fit[me] = FIT; changes++; shifted = 1 }
    :: d_step { changes < CHANGES && fit[me] == FIT -> fit[me] = FULL; changes++; shifted = 1 }; tell()
    :: d_step { changes < CHANGES && fit[me] == FIT -> fit[me] = UNFIT; changes++; shifted = 1 }; tell()
    :: true
    fi
}

inline tell()
{
#ifdef SILENT
    skip
#else
    pass_on()
#endif
}

inline round()
{
    wait();
#ifdef DRAIN
    if
    :: atomic { me == 2 && fit[me] == FIT -> fit[me] = UNFIT }
    :: true
    fi;
#endif
    atomic { parked[me] = 0; heir = NOBODY };
    BE_FOUND
    if
    :: atomic { rung || kick[me] -> rung = 0 }; hear()
    :: else
    fi;
    if
    :: have ->
#ifdef NOLOOK
        ok = 1;
#else
        may();
#endif
        if
        :: atomic { ok && event -> ok = 0; event = 0 }; accept()
        :: atomic { !ok || !event -> busy = busy || event || !ok; ok = 0; event = 0 }
        fi;
        if
        :: atomic { busy -> owner = FREE; have = 0 }; pass_on()
        :: else
        fi
    :: else
    fi;
#ifdef LEVELS
    if
    :: busy -> change()
    :: else
    fi;
#endif
    if
    :: atomic { busy && stuck < STUCK -> stuck++; false } /* a handler that never returns */
    :: atomic { true -> busy = 0 }
    fi;
    if
    :: try_turn()
    :: true /* overloaded, or left to whom we kicked */
    fi;
#ifndef STILLLOST
    BE_FOUND
#endif
#ifdef EARLYLOOK
    may();
    parked[me] = 1;
    try_lock()
#else
    parked[me] = 1;
#ifndef NOREPARK
    ok = 1;
    respect();
    if
    :: ok -> try_turn()
    :: else
    fi
#else
    skip
#endif
#endif
}

proctype Worker(byte me; bit have)
{
    bit rung, busy, event, ok;
#ifdef LEVELS
    bit roomy;
#endif
    byte j, heir = NOBODY;
#ifdef KILL
    do
    :: { do :: round() od } unless {
        atomic { dead == me -> have = 0; rung = 0; busy = 0; event = 0; ok = 0; j = 0; heir = NOBODY; reaped = 1 };
        dead != me
       }
    od
#elif defined(SLEEP)
    do
    :: me != SLEEP -> round()
    od
#elif defined(STOP)
    { do :: round() od } unless { halted == me -> false }
#else
    do
    :: round()
    od
#endif
}

#ifdef KILL
active proctype Master()
{
    byte i;
    atomic { /* SIGKILL; the kernel marks the lock before the parent hears of it */
        running;
        dead = KILL;
        if
        :: owner == KILL -> owner = ORPHAN
        :: else
        fi
    };
    atomic { reaped; parked[KILL] = 0; fit[KILL] = UNFIT; kick[KILL] = 0 };
#ifndef NORESCUE
    do
    :: atomic { i == WORKERS -> i = 0; break }
    :: atomic { i == KILL -> i++ }
#ifdef PARKEDONLY
    :: atomic { i < WORKERS && i != KILL && !parked[i] -> i++ }
    :: atomic { i < WORKERS && i != KILL && parked[i] -> kick[i] = 1; bell[i] = 1; i++ }
#else
    :: atomic { i < WORKERS && i != KILL -> kick[i] = 1; bell[i] = 1; i++ }
#endif
    od;
#endif
#ifdef RESPAWN
    atomic { kick[KILL] = 0; fit[KILL] = FIT; dead = NOBODY };
#endif
    skip
}
#endif

#ifdef STOP
active proctype Stop()
{
    atomic { running && owner != STOP -> halted = STOP }
}
#endif

#ifdef ERR
active proctype Master()
{
    byte i;
    running;
    d_step {
        lost[ERR] = 1
#ifdef LEVELS
        ;
        shifted = 1
#endif
    };
    do
    :: atomic { i == WORKERS -> i = 0; break }
    :: atomic { i < WORKERS -> kick[i] = 1; bell[i] = 1; i++ }
    od
}
#endif

#define IS_STUCK(i) (fit[i] == FIT && !parked[i])

/* The master sees what lasts from one second to the next: in a model that is what is there when nothing moves. */
inline ring_all()
{
    atomic {
        i = 0;
        do
        :: i < WORKERS -> lost[i] = parked[i] && kick[i]; i++
        :: else -> break
        od
    };
#ifndef NOCALL
    do
    :: atomic { i > 0 -> i--; kick[i] = 1; bell[i] = 1 }
    :: atomic { i == 0 -> break }
    od
#else
    i = 0
#endif
}

active proctype Monitor()
{
    byte i;
#ifdef STOP
    timeout;
    ring_all();
#endif
#ifdef SLEEP
    do
    :: timeout ->
        if
        :: kick[SLEEP] && !lost[SLEEP] -> ring_all(); waiting = waiting + 2
        :: else -> break
        fi
    od;
#else
    timeout;
#endif
#ifdef LEVELS
    assert(waiting == 0 || ANY(IS_STUCK))
#else
    assert(waiting == 0)
#endif
}

init {
    byte c;
    atomic {
        do
        :: c == WORKERS -> break
#ifdef LEVELS
        :: c < WORKERS - 1 -> fit[c] = FULL; parked[c] = 1; run Worker(c, 0); c++
#endif
        :: c < WORKERS -> fit[c] = FIT; parked[c] = 1; run Worker(c, c == WORKERS - 1); c++
        od;
        c = 0;
        running = 1
    };
    own_event = 1;
    waiting++
}
