use model::TenantId;
use mqtt::Qos;

use super::*;

fn waiting(session: u128, due_s: u64) -> Waiting {
    let will = StoredWill {
        topic: session.to_string(),
        payload: Vec::new(),
        qos: Qos::AtMostOnce,
        retain: false,
        delay: 0,
        properties: Vec::new(),
    };
    Waiting {
        due: Duration::from_secs(due_s),
        session: SessionKey(session),
        identity: Identity::Anonymous { tenant: TenantId::from_bytes([1; 16]) },
        will: Box::new(will),
    }
}

fn due(wills: &mut Wills, now_s: u64) -> Vec<String> {
    wills.take_due(Duration::from_secs(now_s)).into_iter().map(|waiting| waiting.will.topic).collect()
}

#[test]
fn a_will_waits_for_its_time_unless_the_client_is_back() {
    let mut wills = Wills::default();
    [waiting(1, 30), waiting(2, 10), waiting(3, 20)].into_iter().for_each(|one| wills.wait(one));
    assert!(due(&mut wills, 9).is_empty());
    wills.forget(SessionKey(3));
    assert_eq!(due(&mut wills, 30), ["2", "1"]);
    assert!(due(&mut wills, 100).is_empty());
}
