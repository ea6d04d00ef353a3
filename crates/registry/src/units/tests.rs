use super::*;

/// From, to, a value, and the exact decimal result. The oracle is arithmetic on paper with the definitions of the SI and
/// NIST SP 811, not the library.
const TABLE: [(&str, &str, f64, f64); 64] = [
    // temperatures
    ("[degF]", "Cel", 212.0, 100.0),
    ("[degF]", "Cel", 32.0, 0.0),
    ("[degF]", "Cel", -40.0, -40.0),
    ("[degF]", "Cel", 98.6, 37.0),
    ("[degF]", "Cel", 451.0, 232.777_777_777_777_77),
    ("Cel", "[degF]", 100.0, 212.0),
    ("Cel", "[degF]", -17.5, 0.5),
    ("Cel", "K", 0.0, 273.15),
    ("Cel", "K", 26.85, 300.0),
    ("K", "Cel", 373.15, 100.0),
    ("K", "Cel", 273.15, 0.0),
    ("[degF]", "K", 32.0, 273.15),
    ("mK", "K", 1500.0, 1.5),
    // pressures
    ("[psi]", "kPa", 1.0, 6.894_757_293_168_361),
    ("[psi]", "Pa", 1.0, 6_894.757_293_168_362),
    ("bar", "kPa", 2.5, 250.0),
    ("mbar", "Pa", 1013.25, 101_325.0),
    ("hPa", "kPa", 1013.0, 101.3),
    ("kPa", "bar", 250.0, 2.5),
    ("atm", "kPa", 1.0, 101.325),
    ("Pa", "MPa", 2_500_000.0, 2.5),
    ("m[H2O]", "kPa", 1.0, 9.80665),
    // shares
    ("%", "1", 50.0, 0.5),
    ("%", "1", 12.5, 0.125),
    ("1", "%", 0.25, 25.0),
    ("[ppm]", "%", 400.0, 0.04),
    ("[ppb]", "[ppm]", 250.0, 0.25),
    // lengths, areas, volumes
    ("[in_i]", "cm", 1.0, 2.54),
    ("[in_i]", "mm", 10.0, 254.0),
    ("[ft_i]", "m", 10.0, 3.048),
    ("[mi_i]", "km", 1.0, 1.609_344),
    ("[yd_i]", "m", 100.0, 91.44),
    ("mm", "m", 1234.0, 1.234),
    ("um", "mm", 250.0, 0.25),
    ("[gal_us]", "L", 1.0, 3.785_411_784),
    ("L", "m3", 500.0, 0.5),
    ("m3", "L", 0.25, 250.0),
    ("har", "m2", 2.0, 20_000.0),
    // speeds, rates
    ("km/h", "m/s", 36.0, 10.0),
    ("km/h", "m/s", 90.0, 25.0),
    ("m/s", "km/h", 10.0, 36.0),
    ("[mi_i]/h", "km/h", 100.0, 160.9344),
    ("[kn_i]", "km/h", 10.0, 18.52),
    ("1/min", "Hz", 60.0, 1.0),
    ("1/min", "Hz", 1500.0, 25.0),
    ("/min", "/s", 90.0, 1.5),
    ("L/min", "L/h", 2.0, 120.0),
    ("m3/h", "L/s", 3.6, 1.0),
    // energy, power, charge
    ("kW.h", "J", 1.0, 3_600_000.0),
    ("kW.h", "MJ", 2.0, 7.2),
    ("W.h", "kW.h", 1500.0, 1.5),
    ("A.h", "C", 2.0, 7_200.0),
    ("mA.h", "A.h", 2500.0, 2.5),
    ("kW", "W", 1.5, 1_500.0),
    ("cal_th", "J", 1.0, 4.184),
    // mass, force, time, angle, electricity
    ("[lb_av]", "kg", 1.0, 0.453_592_37),
    ("g", "kg", 250.0, 0.25),
    ("t", "kg", 1.5, 1_500.0),
    ("kN", "N", 2.5, 2_500.0),
    ("ms", "s", 250.0, 0.25),
    ("h", "s", 1.5, 5_400.0),
    ("d", "h", 2.0, 48.0),
    ("mV", "V", 3300.0, 3.3),
    ("kOhm", "Ohm", 4.7, 4_700.0),
];

#[test]
fn conversions_give_the_value_on_paper() {
    for (from, to, value, expected) in TABLE {
        let conversion = conversion(from, to).unwrap_or_else(|why| panic!("{from} → {to}: {why}"));
        assert_eq!(conversion.apply(value), expected, "{value} {from} in {to}, by {conversion:?}");
    }
}

#[test]
fn a_step_is_short_where_the_definition_is() {
    let steps =
        |from, to| conversion(from, to).map(|step| (step.before, step.multiply, step.divide, step.after)).unwrap();
    assert_eq!(steps("[degF]", "Cel"), (-32.0, 5.0, 9.0, 0.0));
    assert_eq!(steps("Cel", "[degF]"), (0.0, 1.8, 1.0, 32.0));
    assert_eq!(steps("km/h", "m/s"), (0.0, 5.0, 18.0, 0.0));
    assert_eq!(steps("%", "1"), (0.0, 1.0, 100.0, 0.0));
    assert_eq!(steps("bar", "kPa"), (0.0, 100.0, 1.0, 0.0));
    assert_eq!(steps("[in_i]", "cm"), (0.0, 2.54, 1.0, 0.0));
    assert_eq!(conversion("Cel", "Cel"), Ok(Conversion::NONE));
    assert_eq!(conversion("Pa", "N/m2"), Ok(Conversion::NONE));
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Why>) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn a_code_says_what_it_means() {
    let milliphot = check("mph").unwrap();
    assert_eq!((milliphot.name.as_str(), milliphot.dimension.as_str()), ("(milliphot)", "L-2.A2.F"));
    assert_eq!(check("km/h").unwrap().dimension, "L.T-1");
    assert_eq!(check("%").unwrap().dimension, "1");
}

#[test]
fn a_usual_mistake_is_told_the_right_code() {
    assert_eq!(refused(check("degC")), "`degC` is not a UCUM code: write `Cel`");
    assert_eq!(refused(check("°C")), "`°C` is not a UCUM code: write `Cel`");
    assert!(refused(check("NTU")).starts_with("`NTU` has no UCUM code: leave the unit out"));
    for (wrong, right) in USUAL_MISTAKES.iter().filter(|(_, right)| !right.is_empty()) {
        check(right).unwrap_or_else(|why| panic!("the right code for {wrong}: {why}"));
    }
}

#[test]
fn what_does_not_convert_is_refused_with_a_reason() {
    let mismatch = refused(conversion("mph", "km/h"));
    assert!(mismatch.contains("they measure different things; perhaps `mph` was to be `[mi_i]/h`"), "{mismatch}");
    assert!(refused(conversion("Cel", "kPa")).contains("different things"));
    assert!(refused(conversion("kPa{gauge}", "kPa{abs}")).contains("notes in braces differ"));
    assert!(refused(conversion("kPa{gauge}", "bar")).contains("notes in braces differ"));
    assert_eq!(conversion("kPa{gauge}", "bar{gauge}").map(|step| step.apply(250.0)), Ok(2.5));
    assert!(refused(conversion("dB[SPL]", "Pa")).contains("logarithmic"));
    assert!(refused(conversion("[pH]", "mol/L")).contains("logarithmic"));
    assert!(refused(conversion("[IU]", "mg")).contains("cannot become"));
    assert!(refused(check("")).contains("1 to 64 characters"));
    assert!(refused(check(&"m".repeat(65))).contains("1 to 64 characters"));
    assert!(refused(check(&"(".repeat(60))).contains("is not a UCUM code"));
}

#[test]
fn what_a_peer_may_send_never_panics() {
    for code in ["10*999", "m99999999999", "{}", "{", "m//s", "-", ".", "(((((m)))))", "Cel/h", "1e400", "\u{0}", "µm"]
    {
        drop(check(code));
        drop(conversion(code, "m"));
        drop(conversion("m", code));
    }
}
