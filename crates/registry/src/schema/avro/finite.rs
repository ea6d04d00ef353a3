//! Types of which there is a value: a record that must hold itself, at once or through others, would never end.

use std::collections::HashMap;

use super::Invalid;
use super::types::{Shape, TypeId, Types};

/// Fails, with a sentence, where a record has no value. Takes as many steps as the schema has fields and branches.
pub fn check(types: &Types) -> Result<(), Invalid> {
    // Of each type: who is made of it, and how many more of its parts must be known to have a value.
    let mut made_of: HashMap<TypeId, Vec<TypeId>> = HashMap::new();
    let mut missing: HashMap<TypeId, usize> = HashMap::new();
    let mut known = Vec::new();
    for (id, of) in types.iter() {
        let (parts, needed): (Vec<TypeId>, usize) = match &of.shape {
            Shape::Record(_, record) => (record.fields.iter().map(|field| field.of).collect(), record.fields.len()),
            Shape::Union(branches) => (branches.clone(), branches.len().min(1)),
            // Arrays and maps may be empty.
            _ => (Vec::new(), 0),
        };
        parts.into_iter().for_each(|part| made_of.entry(part).or_default().push(id));
        missing.insert(id, needed);
        if needed == 0 {
            known.push(id);
        }
    }
    while let Some(id) = known.pop() {
        for whole in made_of.remove(&id).into_iter().flatten() {
            let left = missing.get_mut(&whole).expect("of every type");
            if *left > 0 {
                *left -= 1;
                if *left == 0 {
                    known.push(whole);
                }
            }
        }
    }
    for (_, of) in types.iter().filter(|(id, _)| missing[id] > 0) {
        if let Shape::Record(named, record) = &of.shape {
            let field = record.fields.iter().find(|field| missing[&field.of] > 0);
            let field = field.map_or("", |field| field.name.as_str());
            return Err(Invalid {
                why: format!(
                    "the record {} has no value that ends: its field {field} must hold records that hold each other; make one of \
                     the fields on the way a union with null, or an array",
                    named.name
                ),
            });
        }
    }
    Ok(())
}
