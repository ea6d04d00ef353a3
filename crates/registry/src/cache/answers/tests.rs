use super::*;

fn answers(known_max: usize) -> (Answers<u32, u32>, Clock) {
    let clock = Clock::manual(0);
    (Answers::new(known_max, 4, Duration::from_secs(30), clock.clone()), clock)
}

fn put(answers: &Answers<u32, u32>, key: u32, value: Option<u32>) {
    answers.put(key, value, answers.stamp(&key));
}

#[test]
fn an_answer_ages() {
    let (answers, clock) = answers(4);
    put(&answers, 1, Some(10));
    put(&answers, 2, None);
    clock.advance(Duration::from_millis(29_999));
    assert_eq!(answers.get(&1), Some(Some(10)));
    assert_eq!(answers.get(&2), Some(None));
    clock.advance(Duration::from_millis(1));
    assert_eq!(answers.get(&1), None);
    assert_eq!(answers.get(&2), None);
}

#[test]
fn what_changed_is_forgotten_at_once() {
    let (answers, _clock) = answers(4);
    put(&answers, 1, Some(10));
    put(&answers, 2, Some(20));
    answers.forget(&1);
    assert_eq!((answers.get(&1), answers.get(&2)), (None, Some(Some(20))));
    answers.forget_all();
    assert_eq!(answers.get(&2), None);
}

#[test]
fn an_answer_read_before_a_change_is_not_kept() {
    let (answers, _clock) = answers(4);
    let before = answers.stamp(&1);
    answers.forget(&1);
    answers.put(1, Some(10), before);
    assert_eq!(answers.get(&1), None);
    let before = answers.stamp(&1);
    answers.forget_all();
    answers.put(1, None, before);
    assert_eq!(answers.get(&1), None);
}

#[test]
fn it_is_bounded_and_the_unknown_cannot_push_out_the_known() {
    let (answers, _clock) = answers(4);
    put(&answers, 0, Some(0));
    for key in 100..10_000 {
        put(&answers, key, None);
    }
    assert_eq!(answers.get(&0), Some(Some(0)));
    for key in 1..10 {
        put(&answers, key, Some(key));
    }
    let state = answers.lock();
    assert!(state.known.young.len() <= 4 && state.known.old.len() <= 4);
    assert!(state.absent.young.len() <= 4 && state.absent.old.len() <= 4);
    drop(state);
    assert_eq!((answers.get(&0), answers.get(&9)), (None, Some(Some(9))));
}
