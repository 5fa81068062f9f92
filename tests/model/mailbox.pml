/* mailbox.pml - a model of the mailbox (src/ipc/ring.c, mailbox.c, doorbell.c) for spin; run.sh runs it.
 *
 * Senders (0 and 1) put messages into a ring of CAP places under a robust lock that is only ever tried; readers (2 and
 * 3) with cursors of their own take them out without a lock. SENDERS and READERS say how many of them there are. Who has nothing to do parks, looks again, and sleeps until its bell.
 * A place is written in two halves, and copied in two. Checked: what a reader takes is whole and in order; whoever gets
 * the lock finds counts, and the latest value, that fit the head; and when nothing can move any more, no reader sleeps
 * with mail for it, and no sender with a message that would fit.
 *
 * With KILL=N process N is killed between any two steps; then the master takes it out and rings everybody. With SOME each message is for one of the readers or for both, and only they are
 * rung. With EVICT the master stops waiting for reader 3 at some moment; it goes on at the head and counts what it lost.
 *
 * Controls, each leaves one rule out and must fail:
 *   NOREPARK    a reader does not look again after it has parked
 *   NOREWAIT    a sender does not look again after it has parked
 *   NOHINT      a sender does not say that it waits before its second look
 *   NOWAKE      a reader that has made room rings nobody
 *   BADORDER    the note is cleared before the bell is read
 *   NONUDGE     a sender that finds the ring full rings nobody                     (with SOME)
 *   NORESCUE    the master rings nobody after a death                              (with KILL)
 *   CLEARONLY   the master rings only those whose note is clear                    (with KILL)
 *   PARKEDONLY  the master rings only those who are parked                         (with KILL)
 *   NOJOURNAL   the next holder of the lock does not bring the counts up to the head (with KILL)
 *   ONECOPY     the latest value has one place                                     (with KILL)
 *   NODROP      the next holder believes a latest value that was not committed     (with KILL)
 *   NOCHECK     a reader does not look at its state after the copy                 (with EVICT) */
#ifndef CAP
#define CAP 2
#endif
#ifndef MSGS
#define MSGS 2 /* of each sender */
#endif
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef READERS
#define READERS 2
#endif
#define TOTAL  (SENDERS * MSGS)
#define FREE   255
#define ORPHAN 254 /* the holder of the lock has died */
#define NOBODY 255
#define HALF   250 /* no position */

byte lock = FREE, head, count;
byte left[CAP], right[CAP];  /* the halves of a place: the position of the message in it */
byte for_whom[TOTAL];        /* by position: a bit for each reader */
byte cursor[4];              /* of 2 and 3 */
bit parked[4], note[4], bell[4], waits[4], waiters, gone[4];
bit lagging;                 /* reader 3 is not waited for */
byte sent[2], lost3, taken3;
byte dead = NOBODY;

byte journal_end, journal_count;
byte latest[2];              /* position + 1, 0: none that is valid */

#define GATES(c)  (!gone[c] && !(c == 3 && lagging))
#define FITS(c)   (!GATES(c) || head - cursor[c] < CAP)
#define ROOM      (FITS(2) && FITS(3))
#define NEWEST    (latest[1] > latest[0])

/* What the next holder puts right, and what it must then find. */
inline examine()
{
    if
    :: lock == ORPHAN ->
#ifndef NOJOURNAL
        if
        :: journal_end == head && head > 0 -> count = journal_count
        :: else
        fi;
#endif
#ifndef NODROP
        if
        :: latest[0] > head -> latest[0] = 0
        :: else
        fi;
        if
        :: latest[1] > head -> latest[1] = 0
        :: else
        fi
#endif
    :: else
    fi;
    assert(count == head);
    assert(latest[NEWEST] == head)
}

inline take_lock()
{
    d_step {
        lock == FREE || lock == ORPHAN -> examine();
        lock = me
    }
}

inline ring(who)
{
    if
    :: atomic { !note[who] -> note[who] = 1 };
        bell[who] = 1
    :: note[who]
    fi
}

#ifdef KILL
inline keep_latest()
{
#ifdef ONECOPY
    latest[0] = 0;
    latest[0] = head + 1;
#else
    j = 1 - NEWEST;
    latest[j] = 0;
    d_step { latest[j] = head + 1; j = 0 };
#endif
}

inline commit()
{
    left[head % CAP] = head;
    right[head % CAP] = head;
    keep_latest();
    journal_end = 0;
    d_step { journal_count = count + 1; journal_end = head + 1 };
    head++;
    count = journal_count;
    d_step { lock = FREE; sent[me]++ }
}
#else
/* Only the halves are seen by somebody who has not the lock. */
inline commit()
{
    left[head % CAP] = head;
    right[head % CAP] = head;
    d_step { count++; latest[0] = head + 1; head++; lock = FREE; sent[me]++ }
}
#endif

/* Those a message is for, where they sleep. */
inline tell()
{
    j = 2;
    do
    :: atomic { j == 4 -> j = 0; break }
    :: atomic { j < 4 && !(parked[j] && (whom >> (j - 2)) & 1) -> j++ }
    :: atomic { j < 4 && parked[j] && (whom >> (j - 2)) & 1 -> skip };
        ring(j);
        j++
    od
}

inline nudge()
{
#if defined(SOME) && !defined(NONUDGE)
    j = 2;
    do
    :: atomic { j == 4 -> j = 0; break }
    :: atomic { j < 4 && !(parked[j] && cursor[j] < head) -> j++ }
    :: atomic { j < 4 && parked[j] && cursor[j] < head -> skip };
        ring(j);
        j++
    od
#else
    skip
#endif
}

/* From here on we are rung; read the bell, then clear the note. */
inline sleep()
{
    bell[me];
    parked[me] = 0;
#ifdef BADORDER
    note[me] = 0;
    bell[me] = 0
#else
    bell[me] = 0;
    note[me] = 0
#endif
}

inline wait_for_room()
{
    waits[me] = 1;
    parked[me] = 1;
#ifndef NOHINT
    waiters = 1;
#endif
    if
#ifndef NOREWAIT
    :: atomic { ROOM -> parked[me] = 0 }
    :: atomic { !ROOM -> skip };
#else
    :: true ->
#endif
        sleep()
    fi
}

inline publish()
{
#ifdef SOME
    if
    :: whom = 1
    :: whom = 2
    :: whom = 3
    fi;
#else
    whom = 3;
#endif
    do
    :: take_lock();
        if
        :: atomic { ROOM -> for_whom[head] = whom };
            commit();
            break
        :: atomic { !ROOM -> lock = FREE };
            nudge();
            wait_for_room()
        fi
    od;
    waits[me] = 0;
    tell()
}

inline wake_waiters()
{
#ifndef NOWAKE
    if
    :: atomic { waiters -> waiters = 0 };
        j = 0;
        do
        :: atomic { j == 2 -> j = 0; break }
        :: atomic { j < 2 && !(waits[j] && parked[j]) -> j++ }
        :: atomic { j < 2 && waits[j] && parked[j] -> skip };
            ring(j);
            j++
        od
    :: !waiters
    fi
#else
    skip
#endif
}

inline recover()
{
    take_lock();
    d_step { lost3 = count - taken3; cursor[3] = head; lagging = 0 };
    atomic { lock = FREE }
}

inline drain()
{
    do
    :: atomic { me == 3 && lagging -> skip };
        recover()
    :: atomic { !(me == 3 && lagging) && cursor[me] < head -> half = left[cursor[me] % CAP] };
        atomic { other = right[cursor[me] % CAP]; skip };
        if
#ifndef NOCHECK
        :: atomic { me == 3 && lagging -> half = HALF }
        :: atomic { !(me == 3 && lagging) ->
#else
        :: atomic { true ->
#endif
            assert(half == cursor[me] && other == half);
            half = HALF;
            if
            :: me == 3 -> taken3++
            :: else
            fi;
            cursor[me]++ }
        fi
    :: atomic { !(me == 3 && lagging) && cursor[me] == head -> break }
    od;
    wake_waiters()
}

inline serve()
{
    drain();
    parked[me] = 1;
    if
#ifndef NOREPARK
    :: atomic { cursor[me] < head || (me == 3 && lagging) -> parked[me] = 0 }
    :: atomic { !(cursor[me] < head || (me == 3 && lagging)) -> skip };
#else
    :: true ->
#endif
        sleep()
    fi
}

proctype Sender(byte me)
{
    byte j, whom;
    {
        do
        :: atomic { sent[me] == MSGS -> break }
        :: atomic { sent[me] < MSGS -> skip };
            publish()
        od
    } unless { dead == me }
}

proctype Reader(byte me)
{
    byte j, half = HALF, other;
    {
        do
        :: serve()
        od
    } unless { dead == me }
}

#ifdef KILL
active proctype Master()
{
    byte i;
    atomic {
        dead = KILL;
        if
        :: lock == KILL -> lock = ORPHAN
        :: else
        fi
    };
    gone[KILL] = 1;
    d_step { waits[KILL] = 0; note[KILL] = 0; parked[KILL] = 0 };
#ifndef NORESCUE
    do
    :: atomic { i == 4 -> i = 0; break }
#ifdef CLEARONLY
    :: atomic { i < 4 && note[i] -> i++ }
    :: atomic { i < 4 && !note[i] -> note[i] = 1; bell[i] = 1; i++ }
#else
#ifdef PARKEDONLY
    :: atomic { i < 4 && !parked[i] -> i++ }
    :: atomic { i < 4 && parked[i] -> note[i] = 1; bell[i] = 1; i++ }
#else
    :: atomic { i < 4 -> note[i] = 1; bell[i] = 1; i++ }
#endif
#endif
    od
#endif
}
#endif

#ifdef EVICT
active proctype Evictor()
{
    lagging = 1;
    note[3] = 1;
    bell[3] = 1;
    note[0] = 1;
    bell[0] = 1;
    note[1] = 1;
    bell[1] = 1
}
#endif

/* Is there anything for this reader in what it has not read? */
inline look_for(who)
{
    i = cursor[who];
    do
    :: i == head -> break
    :: i < head -> assert(gone[who] || !((for_whom[i] >> (who - 2)) & 1)); i++
    od;
    i = 0
}

active proctype Monitor()
{
    byte i;
    timeout;
    d_step {
        look_for(2);
        look_for(3);
        assert(dead == 0 || sent[0] == MSGS);
        assert(dead == 1 || sent[1] == MSGS);
        assert(gone[3] || lagging || taken3 + lost3 + (head - cursor[3]) == head)
    }
}

init {
    atomic {
        left[0] = HALF;
        right[0] = HALF;
        run Sender(0);
#if SENDERS == 2
        run Sender(1);
#else
        sent[1] = MSGS;
#endif
#if READERS == 2
        run Reader(2);
        run Reader(3)
#else
#ifdef EVICT
        gone[2] = 1;
        run Reader(3)
#else
        gone[3] = 1;
        run Reader(2)
#endif
#endif
    }
}
