@0xd4a1f3c59b2e7710;
# What crosses a connection of Stele. A frame is a fixed prefix (net/wire/frame.h), one Frame below as a
# Cap'n Proto message, and a body of raw bytes: the values and entries that the Frame describes, in its
# order. docs/wire-format.md tells the whole story. Fields are only ever added.
#
#   dialer                         listener
#     │── hello ───────────────────▶│      who, which cluster, which protocol version
#     │◀─────────────────── hello ──│      or refused{reason} and the end
#
#   client          leader                     follower (two or more)
#     │─ openSession ─▶│ … chosen like any other command …
#     │◀ sessionOpened─│
#     │─ append ──────▶│── accept ────────────────▶│   the leader's own acceptor gets one, too
#     │                │◀──────────────── accepted │   once the vote is durable
#     │                │── chosen ────────────────▶│   after a q2 quorum of votes
#     │◀ appendResults │                           │   once the slot is applied
#     │─ read ────────▶│── heartbeat{round} ──────▶│   if linearizable
#     │                │◀─────────── heard{round} ─│   at once: the follower lives
#     │                │◀──── heartbeatAck{round} ─│   after its disk: q2 of them confirm the leader
#     │◀── readResult ─│
#     │─ tail ────────▶│   (any node serves tails and reads of its own state)
#     │◀─ tailEntries ─│   as entries are applied, within the client's credit
#     │─ tailCredit ──▶│
#
#   candidate                                   others
#     │── preVote ────────────────────────────────▶│   have you lost the leader, too?
#     │◀──────────────────────────── preVoteAnswer │
#     │── prepare{ballot, slotBegin} ─────────────▶│   after its own acceptor has promised durably
#     │◀────────────── promise{piece} or faulty{…} │   pieces are pulled: prepare again, further on
#     │◀───────────────────────── nack{promised} ──│   any time a ballot is too low
#
#   a learner that lags                         any node that has the value
#     │── fetch{slotBegin} ───────────────────────▶│
#     │◀───────────────────────── fetched{records} │
#     │◀───────────────────────────────── chosenEnd│   from an acceptor asked to vote below it
#
#   a learner that lacks slots that are gone    any node that has a snapshot above them
#     │── fetchSnapshot{slot, part} ─────────────▶│   part 0: what it consists of
#     │◀────────────────────── snapshotPart{bytes} │
#     │── fetchRun{run}, fetch{copies} ──────────▶│   afterwards, for what is kept below it
#     │◀────────── runSlots{digests}, fetched{…} ──│
#
#   a leader that stops ── takeOver ─▶ the best follower
#   any node ── report ─▶ all others            now and then: what it has heard of each, and its state

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stele::wire");

struct Ballot {
  round @0 :UInt64;
  node @1 :UInt8;
}

struct Value {
  kind @0 :UInt8;
  bytes @1 :UInt32;    # That many bytes of the body.
  digest @2 :UInt64;   # XXH3 of them.
}

struct Record {
  slot @0 :UInt64;
  epoch @1 :UInt64;
  ballot @2 :Ballot;
  value @3 :Value;
}

struct Member {
  node @0 :UInt8;
  incarnation @1 :UInt64;
}

struct MemberAddress {
  node @0 :UInt8;
  address @1 :Text;
}

struct Hello {
  protocolVersion @0 :UInt16;
  kind @1 :UInt8;
  clusterName @2 :Text;
  clusterId @3 :UInt64;
  node @4 :UInt8;
  incarnation @5 :UInt64;
  members @6 :List(Member);
  entryBytesMax @7 :UInt64;
  software @8 :Text;
  configured @9 :List(UInt8);
  q1 @10 :UInt8;
  q2 @11 :UInt8;
  starts @12 :UInt64;
  recentStarts @13 :List(Start);   # The newest first.
}

struct Start {
  id @0 :UInt64;
  commitsFound @1 :UInt64;
}

struct Sighting {
  node @0 :UInt8;
  starts @1 :UInt64;
  recent @2 :List(Start);   # The newest first.
  commits @3 :UInt64;
  forked @4 :Bool;
}

struct StatePoint {
  chosenEnd @0 :UInt64;
  hash @1 :UInt64;
}

struct Report {
  sightings @0 :List(Sighting);
  points @1 :List(StatePoint);
  durableEnd @2 :UInt64;   # All slots below are chosen and durable there; 0: it does not say.
}

struct Paxos {
  epoch @0 :UInt64;
  union {
    prepare :group { ballot @1 :Ballot; slotBegin @2 :UInt64; }
    promise :group {
      ballot @3 :Ballot;
      slotBegin @4 :UInt64;
      slotEnd @5 :UInt64;
      last @6 :Bool;
      chosenEnd @7 :UInt64;
      accepted @8 :List(Record);
    }
    faulty :group { ballot @9 :Ballot; slot @10 :UInt64; }
    accept :group { ballot @11 :Ballot; slot @12 :UInt64; value @13 :Value; }
    accepted :group { ballot @14 :Ballot; slotBegin @15 :UInt64; slotEnd @16 :UInt64; }
    nack :group { ballot @17 :Ballot; promised @18 :Ballot; noSpace @19 :Bool; }
    chosenEnd @20 :UInt64;
    chosen :group { ballot @21 :Ballot; slotBegin @22 :UInt64; slotEnd @23 :UInt64; }
    heartbeat :group { ballot @24 :Ballot; round @25 :UInt64; unused @26 :UInt64; }
    heartbeatAck :group {
      ballot @27 :Ballot;
      round @28 :UInt64;
      promised @29 :Ballot;
      chosenEnd @30 :UInt64;
      noSpace @31 :Bool;
      noUpkeep @61 :Bool;
    }
    preVote :group { attempt @32 :UInt64; chosenEnd @33 :UInt64; }
    preVoteAnswer :group {
      attempt @34 :UInt64;
      leaderLost @35 :Bool;
      round @36 :UInt64;
      chosenEnd @37 :UInt64;
    }
    takeOver @38 :Ballot;
    fetch @39 :UInt64;
    fetched :group { slotBegin @40 :UInt64; chosenEnd @41 :UInt64; records @42 :List(Record); }
    heard :group { ballot @43 :Ballot; round @44 :UInt64; }
    fetchSnapshot :group { slot @49 :UInt64; digest @50 :UInt64; part @51 :UInt64; }
    snapshotPart :group {
      slot @52 :UInt64;
      digest @53 :UInt64;
      part @54 :UInt64;
      bytes @55 :Value;
    }
    fetchRun :group { run @56 :UInt64; slotEnd @57 :UInt64; }
    runSlots :group { run @58 :UInt64; slotEnd @59 :UInt64; bytes @60 :Value; }
  }
  commits @45 :UInt64;   # The last durable one of the sender's store.
  recovers @46 :Bool;    # Of an accept: phase 1 has found the value, or the disks were full.
  copies @47 :Bool;      # Of a fetch, and of what is fetched: it is not to be applied.
  firstSlot @48 :UInt64;   # Of what is fetched: the sender serves no slot below.
}

struct AppendResult {
  session @0 :UInt64;
  sequence @1 :UInt64;
  count @2 :UInt32;
  outcome @3 :UInt8;
  lsn @4 :UInt64;
  resendFrom @5 :UInt64;
}

struct ReadResult {
  request @0 :UInt64;
  outcome @1 :UInt8;
  lsnBegin @2 :UInt64;
  count @3 :UInt32;
  lsnEnd @4 :UInt64;
  firstLsn @5 :UInt64;
  detail @6 :Text;
  leader @7 :Text;
  retryMs @8 :UInt32;
  digest @9 :UInt64;   # XXH3 of the body.
  retention @10 :Retention;
}

struct Hold {
  name @0 :Text;
  lsn @1 :UInt64;
  leftMs @2 :UInt64;
}

struct Retention {
  bytes @0 :UInt64;
  ageMs @1 :UInt64;
  holds @2 :List(Hold);
  retainedBytes @3 :UInt64;
}

struct Status {
  request @0 :UInt64;
  clusterId @1 :UInt64;
  clusterName @2 :Text;
  node @3 :UInt8;
  role @4 :Text;
  ballot @5 :Ballot;
  leader @6 :UInt8;
  chosenEnd @7 :UInt64;
  appliedLsn @8 :UInt64;
  firstLsn @9 :UInt64;
  diskBytes @10 :UInt64;
  uptimeS @11 :UInt64;
  stateHash @12 :UInt64;
  version @13 :Text;
  fault @14 :Text;
  members @15 :List(MemberAddress);
  retainedBytes @16 :UInt64;
  snapshotSlot @17 :UInt64;    # 0: there is none.
  snapshotDigest @18 :UInt64;
  snapshotBytes @19 :UInt64;
  snapshotAgeS @20 :UInt64;
}

struct Frame {
  group @39 :UInt32 = 1;   # The replicated log that it is about; there is one today.
  union {
    hello @0 :Hello;
    refused @1 :Text;
    paxos @2 :Paxos;
    openSession :group { nonce @3 :UInt64; window @4 :UInt32; ttlMs @5 :UInt32; }
    sessionOpened :group {
      nonce @6 :UInt64;
      outcome @7 :UInt8;
      session @8 :UInt64;
      leader @9 :Text;
      retryMs @10 :UInt32;
    }
    append :group { digest @11 :UInt64; }   # The body is commands, one after the other.
    appendResults :group {
      results @12 :List(AppendResult);
      leader @13 :Text;
      retryMs @14 :UInt32;
    }
    read :group {
      request @15 :UInt64;
      lsnBegin @16 :UInt64;
      lsnEnd @17 :UInt64;
      bytesMax @18 :UInt32;
      linearizable @19 :Bool;
      retention @40 :Bool;   # What is kept is asked for, and no entries.
    }
    readResult @20 :ReadResult;
    tail :group { request @21 :UInt64; lsnBegin @22 :UInt64; creditBytes @23 :UInt32; }
    tailCredit :group { request @24 :UInt64; creditBytes @25 :UInt32; }
    tailEntries :group {
      request @26 :UInt64;
      lsnBegin @27 :UInt64;
      count @28 :UInt32;
      digest @29 :UInt64;
    }
    tailEnd :group {
      request @30 :UInt64;
      outcome @31 :UInt8;
      firstLsn @32 :UInt64;
      detail @33 :Text;
      leader @34 :Text;
    }
    statusAsk @35 :UInt64;
    status @36 :Status;
    keepAlive @37 :Void;
    report @38 :Report;
  }
}
