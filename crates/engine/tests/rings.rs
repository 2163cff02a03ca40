//! Ring buffers: accounting, order, states, grants, the two readers.

mod support;

use async_bpf_engine::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use support::*;

fn header(engine: &Engine, id: u64) -> &RingHeader {
    engine.ring(id).expect("the ring buffer is there").0
}

#[test]
fn an_entry_costs_its_header_and_its_data_rounded_up() {
    assert_eq!([0, 1, 8, 9, 1000].map(entry_cost), [24, 32, 32, 40, 1024]);
    let mut engine = engine();
    let id = ring(&mut engine, 64, RingReader::Program);
    engine.call(OWNER, push(id, &[1; 8])).unwrap();
    assert_eq!(code(engine.call(OWNER, push(id, &[2; 9]))), ErrorCode::BufferFull);
    engine.call(OWNER, push(id, &[3; 1])).unwrap();
    assert_eq!((header(&engine, id).used, header(&engine, id).next_sequence), (64, 2));
    assert_eq!(code(engine.call(OWNER, push(id, &[4]))), ErrorCode::BufferFull);
    assert_eq!(code(engine.call(OWNER, push(id, &[]))), ErrorCode::InvalidArgument);
    assert_eq!(&*engine.call(OWNER, pop(id)).unwrap().bytes, [1; 8]);
    engine.call(OWNER, push(id, &[5; 8])).unwrap();
    assert_eq!(header(&engine, id).next_sequence, 3);
}

#[test]
fn sizes_have_a_range() {
    let mut engine = engine();
    let create = |size| Call::RingCreate { program: PROGRAM, size, reader: RingReader::Program };
    for size in [0, 63, 1_048_577, u64::MAX] {
        assert_eq!(code(engine.call(OWNER, create(Some(size)))), ErrorCode::InvalidArgument, "{size}");
    }
    for size in [Some(64), Some(1_048_576), None, None, None, None, None, None] {
        engine.call(OWNER, create(size)).unwrap();
    }
    assert_eq!(code(engine.call(OWNER, create(None))), ErrorCode::MaxBuffers);
}

#[test]
fn an_output_that_is_too_small_leaves_the_entry() {
    let mut engine = engine();
    let id = ring(&mut engine, 64, RingReader::Program);
    engine.call(OWNER, push(id, b"abc")).unwrap();
    assert_eq!(code(engine.call(OWNER, Call::RingPop { id, max_len: 2 })), ErrorCode::OutputTooSmall);
    assert_eq!(&*engine.call(OWNER, Call::RingPeek { id, max_len: 3 }).unwrap().bytes, b"abc");
    assert_eq!(engine.call(OWNER, Call::RingPop { id, max_len: 3 }).unwrap().value, 3);
    assert_eq!(engine.call(OWNER, Call::RingPop { id, max_len: 0 }), Ok(Reply::default()));
}

#[test]
fn states_say_what_is_allowed() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Program);
    for (state, may_push, may_pop) in [
        (RingState::Active, true, true),
        (RingState::Paused, false, false),
        (RingState::Draining, false, true),
        (RingState::Closed, false, false),
        (RingState::Active, true, true),
    ] {
        engine.call(HOST, Call::RingSetState { id, state }).unwrap();
        let expected = |may| if may { ErrorCode::Success } else { ErrorCode::BufferNotActive };
        assert_eq!(code(engine.call(OWNER, push(id, &[1]))), expected(may_push), "{state:?}");
        assert_eq!(code(engine.call(OWNER, Call::RingPeek { id, max_len: 1 })), expected(may_pop), "{state:?}");
    }
}

#[test]
fn without_a_grant_a_buffer_does_not_exist() {
    let mut engine = engine();
    let id = ring(&mut engine, 256, RingReader::Program);
    let grant = |program, rights| Call::RingGrant { id, program, rights };
    let codes = |engine: &mut Engine| [push(id, &[1]), Call::RingPeek { id, max_len: 9 }].map(|call| code(engine.call(PEER, call)));
    let (yes, no) = (ErrorCode::Success, ErrorCode::InvalidBuffer);
    assert_eq!(codes(&mut engine), [no, no]);
    for (granted, expected) in [(rights::READ, [no, yes]), (rights::WRITE, [yes, no]), (rights::READ | rights::WRITE, [yes, yes]), (0, [no, no])] {
        engine.call(OWNER, grant(OTHER, granted)).unwrap();
        assert_eq!(codes(&mut engine), expected, "rights {granted}");
    }
    assert_eq!(code(engine.call(OWNER, grant(OTHER, 4))), ErrorCode::InvalidArgument);
    engine.call(OWNER, grant(OTHER, 3)).unwrap();
    for call in [grant(OTHER, 1), Call::RingDestroy { id }, Call::RingSetState { id, state: RingState::Closed }] {
        assert_eq!(code(engine.call(PEER, call)), no, "only the owner may");
    }
}

#[test]
fn grants_are_bounded() {
    let mut engine = engine();
    let id = ring(&mut engine, 64, RingReader::Program);
    let grant = |n: u8, rights| Call::RingGrant { id, program: Address([n; 32]), rights };
    (0..64).for_each(|n| drop(engine.call(OWNER, grant(n, 1)).unwrap()));
    assert_eq!(code(engine.call(OWNER, grant(64, 1))), ErrorCode::InvalidArgument);
    engine.call(OWNER, grant(3, 2)).unwrap();
    engine.call(OWNER, grant(3, 0)).unwrap();
    engine.call(OWNER, grant(64, 1)).unwrap();
}

#[test]
fn what_the_host_reads_is_free_from_the_next_slot() {
    let mut engine = engine();
    let id = ring(&mut engine, 64, RingReader::Host);
    engine.call(OWNER, push(id, &[1])).unwrap();
    engine.call(OWNER, push(id, &[2])).unwrap();
    assert_eq!(code(engine.call(OWNER, pop(id))), ErrorCode::InvalidBuffer, "a program cannot read it");
    let before = engine.state_hash();
    let read: Vec<_> = engine.drain_ring(id, 9).unwrap().iter().map(|entry| (entry.sequence, entry.data[0])).collect();
    assert_eq!(read, [(0, 1), (1, 2)]);
    assert_eq!(engine.drain_ring(id, 9).unwrap().len(), 0, "an entry is read once");
    assert_eq!((engine.ring(id).unwrap().1, engine.state_hash()), (0, before));
    assert_eq!(code(engine.call(OWNER, push(id, &[3]))), ErrorCode::BufferFull);
    slot(&mut engine, 1, &idle);
    engine.call(OWNER, push(id, &[3])).unwrap();
    assert_eq!(&*engine.call(HOST, pop(id)).unwrap().bytes, [3]);
    let own = ring(&mut engine, 64, RingReader::Program);
    assert_eq!(code(engine.drain_ring(own, 1)), ErrorCode::InvalidArgument);
    assert_eq!(code(engine.drain_ring(7, 1)), ErrorCode::InvalidBuffer);
}

#[test]
fn an_invocation_sees_its_own_changes_and_a_failed_one_leaves_none() {
    let mut engine = engine();
    let id = ring(&mut engine, 128, RingReader::Program);
    engine.call(OWNER, push(id, &[1])).unwrap();
    let hash = engine.call(OWNER, Call::RingPeek { id, max_len: 1 }).map(|_| engine.state_hash()).unwrap();
    let play = |fail: bool| {
        move |_: &Engine, _: &Task, stage: &mut Stage<'_>| {
            let next = |stage: &mut Stage<'_>| stage.call(OWNER, pop(id)).unwrap().bytes.to_vec();
            stage.call(OWNER, push(id, &[2])).unwrap();
            assert_eq!([next(stage), next(stage), next(stage)], [vec![1], vec![2], vec![]]);
            stage.call(OWNER, push(id, &[3])).unwrap();
            let own = stage.call(OWNER, Call::RingCreate { program: PROGRAM, size: None, reader: RingReader::Program }).unwrap().value;
            stage.call(OWNER, push(own, &[4])).unwrap();
            stage.call(OWNER, Call::RingDestroy { id: own }).unwrap();
            assert_eq!(code(stage.call(OWNER, push(own, &[4]))), ErrorCode::InvalidBuffer);
            (0, if fail { Err(failure()) } else { Ok(Changes::default()) })
        }
    };
    invoke(&mut engine, &play(true));
    assert_eq!((header(&engine, id).used, header(&engine, id).next_sequence, engine.stats().rings_active), (32, 1, 1));
    assert_ne!(engine.state_hash(), hash, "the counts are part of the state");
    invoke(&mut engine, &play(false));
    assert_eq!((header(&engine, id).used, header(&engine, id).next_sequence, engine.stats().rings_active), (32, 3, 1));
    assert_eq!(&*engine.call(HOST, pop(id)).unwrap().bytes, [3]);
}

/// A destroyed buffer makes room for one created by the same invocation.
#[test]
fn destroy_and_create_in_one_invocation() {
    let mut engine = engine_with(|limits| limits.max_ring_buffers_per_program = 1);
    let id = ring(&mut engine, 64, RingReader::Program);
    invoke(&mut engine, &|_, _, stage| {
        let create = || Call::RingCreate { program: PROGRAM, size: None, reader: RingReader::Program };
        assert_eq!(code(stage.call(OWNER, create())), ErrorCode::MaxBuffers);
        stage.call(OWNER, Call::RingDestroy { id }).unwrap();
        assert_ne!(stage.call(OWNER, create()).unwrap().value, id);
        assert_eq!(code(stage.call(OWNER, create())), ErrorCode::MaxBuffers);
        (0, Ok(Changes::default()))
    });
    assert_eq!((engine.ring(id).is_none(), engine.stats().rings_active), (true, 1));
}

#[derive(Clone, Debug)]
enum Op {
    Push(u8, usize),
    Pop(u64),
    Peek(u64),
    Drain(usize),
    Slot,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (any::<u8>(), 1..60usize).prop_map(|(byte, len)| Op::Push(byte, len)),
        2 => (0..60u64).prop_map(Op::Pop),
        1 => (0..60u64).prop_map(Op::Peek),
        1 => (0..4usize).prop_map(Op::Drain),
        1 => Just(Op::Slot),
    ];
    proptest::collection::vec(op, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A queue of vectors that counts bytes behaves the same, whether calls come one by one or many in one invocation.
    #[test]
    fn a_queue_of_vectors_behaves_the_same(ops in ops(), capacity in 64..400u64, by_host: bool, in_one_invocation: bool) {
        let mut engine = engine();
        let id = ring(&mut engine, capacity, if by_host { RingReader::Host } else { RingReader::Program });
        let mut twin: VecDeque<Vec<u8>> = VecDeque::new();
        // Read by the host, but not free yet.
        let mut lingering = 0;
        let mut pushed = 0;
        let mut expected = Vec::new();
        let cost = |entry: &Vec<u8>| 24 + (entry.len() as u64).div_ceil(8) * 8;
        let invocation = in_one_invocation && !by_host;
        for op in &ops {
            let used = lingering + twin.iter().map(cost).sum::<u64>();
            let answer = match op {
                Op::Push(byte, len) => {
                    let entry = vec![*byte; *len];
                    if used + cost(&entry) <= capacity {
                        twin.push_back(entry);
                        pushed += 1;
                        Ok(vec![])
                    } else {
                        Err(ErrorCode::BufferFull)
                    }
                }
                Op::Pop(max) | Op::Peek(max) => match twin.front().cloned() {
                    None => Ok(vec![]),
                    Some(entry) if entry.len() as u64 > *max => Err(ErrorCode::OutputTooSmall),
                    Some(entry) => {
                        if matches!(op, Op::Pop(_)) {
                            lingering += if by_host { cost(&entry) } else { 0 };
                            twin.pop_front();
                        }
                        Ok(entry)
                    }
                },
                Op::Drain(max) if by_host => {
                    let taken: Vec<_> = twin.drain(..twin.len().min(*max)).collect();
                    lingering += taken.iter().map(cost).sum::<u64>();
                    Ok(taken.concat())
                }
                Op::Drain(_) => continue,
                Op::Slot => {
                    if !invocation {
                        lingering = 0;
                    }
                    Ok(vec![])
                }
            };
            expected.push((op.clone(), answer));
        }
        let call = |op: &Op| match op {
            Op::Push(byte, len) => Some(push(id, &vec![*byte; *len])),
            Op::Pop(max_len) => Some(Call::RingPop { id, max_len: *max_len }),
            Op::Peek(max_len) => Some(Call::RingPeek { id, max_len: *max_len }),
            _ => None,
        };
        let bytes = |reply: Result<Reply, Error>| reply.map(|reply| reply.bytes.to_vec()).map_err(|error| error.code());
        if invocation {
            invoke(&mut engine, &|_, _, stage| {
                for (op, answer) in &expected {
                    if let Some(call) = call(op) {
                        assert_eq!(&bytes(stage.call(OWNER, call)), answer, "{op:?}");
                    }
                }
                (0, Ok(Changes::default()))
            });
        } else {
            for (op, answer) in &expected {
                match (op, call(op)) {
                    (Op::Push(..), Some(call)) => prop_assert_eq!(&bytes(engine.call(OWNER, call)), answer),
                    (_, Some(call)) => prop_assert_eq!(&bytes(engine.call(HOST, call)), answer),
                    (Op::Drain(max), _) => {
                        let read = engine.drain_ring(id, *max).unwrap();
                        prop_assert_eq!(&Ok(read.iter().flat_map(|entry| entry.data.to_vec()).collect()), answer);
                    }
                    _ => {
                        let next = engine.slot() + 1;
                        slot(&mut engine, next, &idle);
                    }
                }
            }
        }
        let (header, unread) = engine.ring(id).unwrap();
        prop_assert_eq!(unread, twin.len() as u64);
        prop_assert_eq!(header.next_sequence, pushed);
        prop_assert_eq!(header.used, lingering + twin.iter().map(cost).sum::<u64>());
    }
}

/// A refused push costs a program little for its length, and is remembered until the invocation is over.
#[test]
fn the_calls_of_one_invocation_have_bounded_memory() {
    let mut engine = engine();
    let megabyte = vec![1; 1 << 20];
    let outcome = invoke(&mut engine, &|_, _, stage| {
        let codes: Vec<_> = (0..9).map(|_| code(stage.call(OWNER, push(7, &megabyte)))).collect();
        assert_eq!(codes[..7], [ErrorCode::InvalidBuffer; 7]);
        assert_eq!(codes[7..], [ErrorCode::QueueFull; 2]);
        (0, Ok(Changes::default()))
    });
    assert_eq!(outcome.staged_codes[7..], [ErrorCode::QueueFull; 2]);
}
