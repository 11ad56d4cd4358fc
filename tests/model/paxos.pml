/* The core of the protocol for Spin: three acceptors, two proposers, two slots, ballots 1 to 3.
 *
 * Messages are facts that stay true once said, so they may be lost (never looked at), doubled and
 * overtaken at will. What an acceptor says is durable, so a crash takes nothing from it but what it
 * has not said. Proposer 1 owns ballots 1 and 3, proposer 2 ballot 2; a
 * crash makes a proposer forget everything, and go on with a later ballot of its own.
 *
 * Invariant: at each slot at most one value is ever voted for by a majority in one ballot.
 * Each of SEND_BEFORE_SYNC, LOWEST_BALLOT_WINS, ONE_PROMISE and BALLOT_REUSED makes a mistake that
 * Spin must refute (tests/model/run).
 */
#define ACCEPTORS 3
#define SLOTS 2
#define LAST_BALLOT 3
#define in(b, s) ((b) * SLOTS + (s))
#define said(b, a, s) (((b) * ACCEPTORS + (a)) * SLOTS + (s))
#define bit(n) (1 << (n))
#define majority(mask) ((mask) == 3 || (mask) == 5 || (mask) == 6 || (mask) == 7)
#ifdef ONE_PROMISE
#define won(mask) ((mask) != 0)
#else
#define won(mask) majority(mask)
#endif

/* What has been said. */
bool prepared[LAST_BALLOT + 1];
byte promises[LAST_BALLOT + 1]; /* of which acceptors, */
byte told_ballot[(LAST_BALLOT + 1) * ACCEPTORS * SLOTS]; /* and the votes in them. */
byte told_value[(LAST_BALLOT + 1) * ACCEPTORS * SLOTS];
byte accepts[(LAST_BALLOT + 1) * SLOTS]; /* the proposed value, 0: none yet */

/* Votes that left, by ballot, slot and value; the invariant counts them. */
#define votes(b, s, v) voted[in(b, s) * 8 + (v)]
byte voted[(LAST_BALLOT + 1) * SLOTS * 8];
byte chosen[SLOTS];

#ifdef SEND_BEFORE_SYNC
byte crashes = 1;
#endif

inline vote_leaves(a, b, s, v) {
  votes(b, s, v) = votes(b, s, v) | bit(a);
  if
  :: majority(votes(b, s, v)) ->
     assert(chosen[s] == 0 || chosen[s] == v);
     chosen[s] = v
  :: else
  fi
}

inline promise_leaves(a, b) {
  promises[b] = promises[b] | bit(a);
  told_ballot[said(b, a, 0)] = vote_ballot[0];
  told_ballot[said(b, a, 1)] = vote_ballot[1];
  told_value[said(b, a, 0)] = vote_value[0];
  told_value[said(b, a, 1)] = vote_value[1]
}

/* Phase 1b: a prepare of ballot b that this acceptor may still answer. */
#define prepare_of(b) prepared[b] && promised <= b && (promises[b] & bit(a)) == 0

/* Phase 2b: an accept that is not below the promise; voting raises the promise, too. */
#define accept_of(b, s) accepts[in(b, s)] != 0 && b >= promised && vote_ballot[s] != b

inline vote(b, s) {
  promised = b;
  vote_ballot[s] = b;
  vote_value[s] = accepts[in(b, s)];
  vote_leaves(a, b, s, vote_value[s])
}

/* One step: what came in is written, synced and answered. What is written and not yet synced when
 * the node crashes was never answered, so that it is as if it had not come in; only the mistake
 * SEND_BEFORE_SYNC needs a memory apart from the disk. */
proctype acceptor(byte a) {
  byte promised;
  byte vote_ballot[SLOTS];
  byte vote_value[SLOTS];
#ifdef SEND_BEFORE_SYNC
  byte disk_promised;
  byte disk_ballot[SLOTS];
  byte disk_value[SLOTS];
#endif

end:
  do
  :: d_step { prepare_of(1) -> promised = 1; promise_leaves(a, 1) }
  :: d_step { prepare_of(2) -> promised = 2; promise_leaves(a, 2) }
  :: d_step { prepare_of(3) -> promised = 3; promise_leaves(a, 3) }
  :: d_step { accept_of(1, 0) -> vote(1, 0) }
  :: d_step { accept_of(1, 1) -> vote(1, 1) }
  :: d_step { accept_of(2, 0) -> vote(2, 0) }
  :: d_step { accept_of(2, 1) -> vote(2, 1) }
  :: d_step { accept_of(3, 0) -> vote(3, 0) }
  :: d_step { accept_of(3, 1) -> vote(3, 1) }
#ifdef SEND_BEFORE_SYNC
  :: d_step {
       disk_promised != promised || disk_ballot[0] != vote_ballot[0] ||
       disk_ballot[1] != vote_ballot[1] ->
       disk_promised = promised;
       disk_ballot[0] = vote_ballot[0]; disk_ballot[1] = vote_ballot[1];
       disk_value[0] = vote_value[0]; disk_value[1] = vote_value[1]
     }
  :: d_step { /* A crash. */
       crashes > 0 ->
       crashes--;
       promised = disk_promised;
       vote_ballot[0] = disk_ballot[0]; vote_ballot[1] = disk_ballot[1];
       vote_value[0] = disk_value[0]; vote_value[1] = disk_value[1]
     }
#endif
  od
}

/* The value to propose at slot s: of the highest ballot told by the acceptors in `quorum`. */
inline pick(s) {
  best = 0; value = 0; a = 0;
  do
  :: a < ACCEPTORS ->
     if
     :: (quorum & bit(a)) != 0 && told_ballot[said(ballot, a, s)] != 0 &&
#ifdef LOWEST_BALLOT_WINS
        (best == 0 || told_ballot[said(ballot, a, s)] < best)
#else
        told_ballot[said(ballot, a, s)] > best
#endif
        ->
        best = told_ballot[said(ballot, a, s)];
        value = told_value[said(ballot, a, s)]
     :: else
     fi;
     a++
  :: else -> break
  od;
  if
  :: value == 0 -> value = ballot /* A new value; one for each ballot will do. */
  :: else
  fi;
  a = 0; best = 0
}

/* Nobody looks at the promises of ballot b any more: one state less for each way they came about.
 * That they raise promises still is left out with them, which only allows more. */
inline forget(b) {
  promises[b] = 7; a = 0;
  do
  :: a < ACCEPTORS * SLOTS ->
     told_ballot[(b) * ACCEPTORS * SLOTS + a] = 0; told_value[(b) * ACCEPTORS * SLOTS + a] = 0; a++
  :: else -> break
  od;
  a = 0
}

proctype proposer(byte first; byte last) {
  byte ballot = 0;
  byte quorum, best, value, a;

end:
  do
  :: d_step { ballot == 0 && !prepared[first] -> ballot = first; prepared[first] = true }
  :: d_step { /* After a crash, or when it was refused: a later ballot. */
       ballot != last && prepared[first] && !prepared[last] ->
       ballot = last; prepared[last] = true;
       forget(first)
     }
  :: atomic { /* Phase 2a: one slot at a time, so that a crash may come in between. */
       ballot != 0 && accepts[in(ballot, 0)] == 0 && won(promises[ballot]) ->
#ifdef ONE_PROMISE
       if
       :: (promises[ballot] & 1) != 0 -> quorum = 1
       :: (promises[ballot] & 2) != 0 -> quorum = 2
       :: (promises[ballot] & 4) != 0 -> quorum = 4
       fi;
#else
       if
       :: (promises[ballot] & 3) == 3 -> quorum = 3
       :: (promises[ballot] & 5) == 5 -> quorum = 5
       :: (promises[ballot] & 6) == 6 -> quorum = 6
       fi;
#endif
       d_step { pick(0); accepts[in(ballot, 0)] = value; value = 0; quorum = 0 }
     }
  :: atomic {
       ballot != 0 && accepts[in(ballot, 0)] != 0 && accepts[in(ballot, 1)] == 0 &&
       won(promises[ballot]) ->
#ifdef ONE_PROMISE
       if
       :: (promises[ballot] & 1) != 0 -> quorum = 1
       :: (promises[ballot] & 2) != 0 -> quorum = 2
       :: (promises[ballot] & 4) != 0 -> quorum = 4
       fi;
#else
       if
       :: (promises[ballot] & 3) == 3 -> quorum = 3
       :: (promises[ballot] & 5) == 5 -> quorum = 5
       :: (promises[ballot] & 6) == 6 -> quorum = 6
       fi;
#endif
       d_step {
         pick(1); accepts[in(ballot, 1)] = value; value = 0; quorum = 0;
         forget(ballot)
       }
     }
#ifdef BALLOT_REUSED
  :: d_step { /* It crashed, and proposes again in the ballot that it had won. */
       ballot != 0 && accepts[in(ballot, 0)] != 0 && accepts[in(ballot, 0)] < 4 ->
       accepts[in(ballot, 0)] = ballot + 4
     }
#endif
  od
}

init {
  atomic {
    run acceptor(0); run acceptor(1); run acceptor(2);
    run proposer(1, 3); run proposer(2, 2)
  }
}
