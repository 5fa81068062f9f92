/* turn.pml - a model of the accept turn (src/ipc/turn.c) for spin; run.sh runs it.
 *
 * Three workers share a robust lock that is only ever tried. Its holder sleeps with the listeners armed, takes one
 * connection, gives the turn away, and only then runs a handler, which may never return. Checked: two workers never
 * have the turn at once, and when nothing can move any more no connection is left waiting (no lost turn).
 *
 * It starts as an idle server: all sleep, worker 2 has the turn. Every access to memory that two processes write is a
 * step of its own. With KILL=N worker N is killed between any two steps; the master then clears its slot, rings the
 * others, and (RESPAWN) starts a successor. With DRAIN worker 2 stops taking turns at some moment.
 *
 * Controls, each leaves one rule out and must fail:
 *   NOREPARK    no second try of the lock after parking
 *   NORECHECK   who kicks does not look whether the sleeper was just leaving
 *   BADORDER    the flag is cleared before the bell is drained    (with KILL)
 *   NORESCUE    the master rings nobody after a death             (with KILL)
 *   PARKEDONLY  the master rings only who is parked at the moment (with KILL)
 *   NOFORWARD   a kicked worker that cannot take turns keeps the kick to itself (with DRAIN) */
#define WORKERS 3
#define FREE    255 /* nobody holds the lock */
#define ORPHAN  254 /* its holder has died: the next one who tries gets it */
#define NOBODY  255

#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif
#ifndef STUCK
#define STUCK 1 /* most handlers that never return: one worker must be left */
#endif

bit parked[WORKERS], kick[WORKERS], bell[WORKERS], fit[WORKERS];
byte owner = WORKERS - 1;
byte waiting = CONNECTIONS - 1; /* connections that nobody has accepted; one more comes later */
byte own_event;                 /* something for worker 1 on a connection that it has */
byte stuck;                     /* handlers that have not returned */
byte dead = NOBODY;
bit reaped;                     /* the dead process has left nothing behind */
bit running;                    /* all workers have been started */

#define NEXT(i) ((i + 1) % WORKERS)

inline try_turn()
{
    d_step {
        if
        :: fit[me] && !have && (owner == FREE || owner == ORPHAN) -> owner = me; have = 1
        :: else
        fi
    }
}

/* Whom we kicked is leaving: it may have missed the kick. */
inline recheck()
{
    if
#ifdef NORECHECK
    :: atomic { true -> j = 0; break }
#else
    :: atomic { parked[j] -> j = 0; break }
    :: atomic { !parked[j] -> j = NEXT(j) }
#endif
    fi
}

/* Kicks the next fit sleeper. */
inline pass_on()
{
    j = NEXT(me);
    do
    :: atomic { j == me -> j = 0; break }
    :: atomic { j != me && !(parked[j] && fit[j]) -> j = NEXT(j) }
    :: atomic { j != me && parked[j] && fit[j] -> skip };
        if
        :: atomic { !kick[j] -> kick[j] = 1 }; bell[j] = 1
        :: kick[j]
        fi;
        recheck()
    od
}

/* The wait. Only the holder accepts, so its connection may as well be taken off the queue here. */
inline wait()
{
    d_step {
        bell[me] || (me == 1 && own_event) || (have && waiting) ->
        assert(!have || owner == me);
        rung = bell[me];
        if
        :: have && waiting -> waiting--; busy = 1
        :: else
        fi;
        if
        :: me == 1 && own_event -> own_event--; busy = 1
        :: else
        fi
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
    if
    :: fit[me] -> try_turn()
#ifdef NOFORWARD
    :: !fit[me]
#else
    :: !fit[me] -> pass_on()
#endif
    fi
}

inline round()
{
    wait();
#ifdef DRAIN
    if
    :: atomic { me == 2 && fit[me] -> fit[me] = 0 }
    :: true
    fi;
#endif
    parked[me] = 0;
    if
    :: atomic { rung || kick[me] -> rung = 0 }; hear()
    :: else
    fi;
    if
    :: atomic { have && (busy || !fit[me]) -> owner = FREE; have = 0 }; pass_on()
    :: else
    fi;
    if
    :: atomic { busy && stuck < STUCK -> stuck++; false } /* a handler that never returns */
    :: atomic { true -> busy = 0; try_turn() }
    fi;
    parked[me] = 1;
#ifndef NOREPARK
    try_turn()
#else
    skip
#endif
}

proctype Worker(byte me; bit have)
{
    bit rung, busy;
    byte j;
#ifdef KILL
    do
    :: { do :: round() od } unless {
        atomic { dead == me -> have = 0; rung = 0; busy = 0; j = 0; reaped = 1 };
        dead != me
       }
    od
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
    atomic { reaped; parked[KILL] = 0; fit[KILL] = 0; kick[KILL] = 0 };
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
    atomic { kick[KILL] = 0; fit[KILL] = 1; dead = NOBODY };
#endif
    skip
}
#endif

active proctype Monitor()
{
    timeout -> assert(waiting == 0)
}

init {
    byte c;
    atomic {
        do
        :: c == WORKERS -> break
        :: else -> fit[c] = 1; parked[c] = 1; run Worker(c, c == WORKERS - 1); c++
        od;
        c = 0;
        running = 1
    };
    own_event = 1;
    waiting++
}
