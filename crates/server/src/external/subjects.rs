//! Whose a subject of an external registry is. It has one space of names for all tenants: what begins with a tenant's name and a
//! dot is that tenant's, under what stands behind the dot; everything else is the default tenant's. The longest name counts.

use model::TenantId;
use registry::{DEFAULT_TENANT, Paging, Registry};

/// The tenants by their names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Owners {
    /// `NAME.` of all but the default tenant, the longest first.
    prefixes: Vec<(String, TenantId)>,
    default: Option<TenantId>,
}

impl Owners {
    pub async fn load(registry: &Registry) -> registry::Result<Self> {
        let (mut owners, mut paging) = (Self::default(), Paging::default());
        loop {
            let page = registry.tenants(&paging).await?;
            page.rows.iter().for_each(|tenant| owners.add(&tenant.settings.name, tenant.tenant_id));
            paging.cursor = page.next;
            if paging.cursor.is_none() {
                return Ok(owners);
            }
        }
    }

    fn add(&mut self, name: &str, tenant: TenantId) {
        if name == DEFAULT_TENANT {
            self.default = Some(tenant);
            return;
        }
        let at = self.prefixes.partition_point(|(prefix, _)| prefix.len() > name.len());
        self.prefixes.insert(at, (format!("{name}."), tenant));
    }

    /// Whose the subject is, and its name here.
    pub fn of<'s>(&self, subject: &'s str) -> Option<(TenantId, &'s str)> {
        let named = self.prefixes.iter().find_map(|(prefix, tenant)| {
            let rest = subject.strip_prefix(prefix.as_str())?;
            (!rest.is_empty()).then_some((*tenant, rest))
        });
        named.or(self.default.map(|tenant| (tenant, subject)))
    }

    /// What a tenant's subject is called there; `None` if that name is another tenant's.
    pub fn outer(&self, tenant: TenantId, subject: &str) -> Option<String> {
        let prefix = self.prefixes.iter().find(|(_, known)| *known == tenant).map_or("", |(prefix, _)| prefix);
        let outer = format!("{prefix}{subject}");
        (self.of(&outer)? == (tenant, subject)).then_some(outer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_the_longest_named_tenants() {
        let tenant = |number| TenantId::from_bytes([number; 16]);
        let mut owners = Owners::default();
        for (number, name) in ["default", "a", "a.b", "longer"].iter().enumerate() {
            owners.add(name, tenant(number as u8));
        }
        for (subject, number, name) in [
            ("pump-value", 0, "pump-value"),
            ("a.pump", 1, "pump"),
            ("a.b.pump", 2, "pump"),
            ("a.bc.pump", 1, "bc.pump"),
            ("a.", 0, "a."),
            ("b.pump", 0, "b.pump"),
            ("longer.a.b.c", 3, "a.b.c"),
        ] {
            assert_eq!(owners.of(subject), Some((tenant(number), name)), "{subject}");
            assert_eq!(owners.outer(tenant(number), name), Some(subject.to_owned()), "{subject}");
        }
        assert_eq!(owners.outer(tenant(0), "a.pump"), None, "that is the name of another tenant's");
        assert_eq!(owners.outer(tenant(1), "b.pump"), None);
        assert_eq!(Owners::default().of("x"), None);
    }
}
