use super::*;

const TEMPERATURE: Signal = Signal::level(12.0).daily(6.0, 14).drift(2.0).noise(0.1).within(-30.0, 50.0);

#[test]
fn a_signal_is_a_pure_function_of_seed_and_time() {
    let course = |seed| (0..100).map(|minute| TEMPERATURE.value(seed, minute * MINUTE).to_bits()).collect::<Vec<_>>();
    assert_eq!(course(1), course(1));
    assert_ne!(course(1), course(2));
}

#[test]
fn known_readings_stay_as_they_are() {
    // A change of the formula would make a demo that is started again jump.
    assert_eq!(TEMPERATURE.value(1, 1_700_000_000_000), 9.3);
    assert_eq!(Signal::level(12.0).daily(6.0, 14).value(1, 14 * HOUR), 18.0);
    assert_eq!(Signal::level(12.0).daily(6.0, 14).value(1, 2 * HOUR), 6.0);
}

#[test]
fn the_afternoon_is_warmer_than_the_night() {
    let mean = |hour: i64| (0..30).map(|day| TEMPERATURE.value(5, day * DAY + hour * HOUR)).sum::<f64>() / 30.0;
    assert!(mean(14) - mean(2) > 8.0);
}

#[test]
fn neighbouring_readings_differ_by_noise_only() {
    let largest = (0..1_000)
        .map(|second| {
            let at = 1_700_000_000_000 + second * 1_000;
            (TEMPERATURE.value(5, at + 1_000) - TEMPERATURE.value(5, at)).abs()
        })
        .fold(0.0, f64::max);
    assert!(largest > 0.0 && largest < 1.0, "{largest}");
}

#[test]
fn steps_last_for_their_period() {
    let signal = Signal::level(0.0).steps(10.0, HOUR).decimals(3);
    let at = |minute: i64| signal.value(8, minute * MINUTE);
    assert_eq!(at(0), at(59));
    assert_ne!(at(59), at(60));
}

#[test]
fn values_are_rounded_and_kept_in_range() {
    let signal = Signal::level(100.0).noise(20.0).decimals(0).within(90.0, 100.0);
    for at in 0..200 {
        let value = signal.value(1, at);
        assert!((90.0..=100.0).contains(&value) && value.fract() == 0.0, "{value}");
    }
    assert_eq!(round(1.005, 1), 1.0);
    assert_eq!(round(-1.25, 1), -1.3);
}

#[test]
fn a_duty_cycle_is_on_for_its_share() {
    let on = (0..10_000).filter(|second| duty(3, second * 1_000, 10 * MINUTE, 0.4)).count();
    assert!((3_000..5_000).contains(&on), "{on}");
}
