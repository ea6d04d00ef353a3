//! Schemas that mean harm: each is refused, or handled, with a sentence that says why.

use model::limits::{SCHEMA_BYTES_MAX, SCHEMA_FIELDS_MAX};
use registry::language_from_name;
use registry::schema::{ReferencedText, Schema};

use cases::{Becomes, Case, cases};

pub mod cases;

fn become_of(case: &Case) -> Result<(), String> {
    let language = language_from_name(case.language).unwrap();
    let reference = |(name, text): &(String, String)| ReferencedText { name: name.clone(), text: text.clone() };
    let references: Vec<_> = case.references.iter().map(reference).collect();
    let schema = Schema::parse(language, &case.text, &references).map_err(|invalid| format!("refused: {invalid}"))?;
    let contract = schema.contract().map_err(|unusable| format!("unusable: {unusable}"))?;
    let fields: usize = contract.roots.iter().map(|root| root.fields.len()).sum();
    assert!(fields <= SCHEMA_FIELDS_MAX && schema.canonical().len() <= 2 * SCHEMA_BYTES_MAX, "{}", case.name);
    Ok(())
}

#[test]
fn every_one_is_refused_or_handled_with_a_sentence() {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = become_of(&case);
        let good = match (&found, case.becomes) {
            (Ok(()), Becomes::Usable) => true,
            (Err(why), Becomes::Refused(part)) => why.starts_with("refused: ") && why.contains(part),
            (Err(why), Becomes::Unusable(part)) => why.starts_with("unusable: ") && why.contains(part),
            _ => false,
        };
        let sentence =
            found.as_ref().err().is_none_or(|why| why.chars().count() < 1100 && !why.contains(char::is_control));
        if !good || !sentence {
            wrong.push(format!(
                "{} {}: {:?}, found {:.1200}",
                case.language,
                case.name,
                case.becomes,
                format!("{found:?}")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
