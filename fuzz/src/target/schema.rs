//! Schema texts of the three languages: parsing, identity, contracts, and the comparison of two.
//!
//! Holds: no panic, bounded time (the fuzzer's own limits); a schema reads what it wrote itself and is no more than an
//! addition to itself, unless the answer was refused for its size; a contract travels through `raw` unchanged.

use model::contract::{Contract, Language};
use registry::schema::Schema;

use crate::input::Input;

pub fn avro(bytes: &[u8]) {
    compare(Language::Avro, bytes);
}

pub fn json(bytes: &[u8]) {
    compare(Language::Json, bytes);
}

pub fn protobuf(bytes: &[u8]) {
    compare(Language::Protobuf, bytes);
}

/// One text, or two with a byte of 0xFF between them.
fn compare(language: Language, bytes: &[u8]) {
    let texts = Input(bytes).parts().take(2).filter_map(|part| std::str::from_utf8(part).ok());
    let schemas: Vec<Schema> = texts.filter_map(|text| parse(language, text)).collect();
    if let [one, other] = &schemas[..] {
        one.cannot_read(other);
        other.cannot_read(one);
        one.beyond_additions_to(other);
        other.beyond_additions_to(one);
    }
}

fn parse(language: Language, text: &str) -> Option<Schema> {
    let schema = match Schema::parse(language, text, &[]) {
        Ok(schema) => schema,
        Err(invalid) => {
            assert!(!invalid.why.is_empty());
            return None;
        }
    };
    let again = Schema::parse(language, text, &[]).expect("it was parsed before");
    assert_eq!(again.canonical(), schema.canonical());
    let normalized = Schema::parse(language, &schema.normalized(), &[]);
    let normalized = normalized.unwrap_or_else(|invalid| panic!("what is stored is no schema: {invalid}"));
    assert_eq!(normalized.normalized(), schema.normalized(), "what is stored is another schema");
    for format in ["resolved", "serialized"] {
        schema.formatted(format);
    }
    if let Ok(contract) = schema.contract() {
        let text = serde_json::to_vec(&contract).expect("a contract is JSON");
        let read: Contract = serde_json::from_slice(&text).expect("and can be read");
        assert_eq!(read, contract);
    }
    Some(schema)
}
