//! What every backend must do. A case takes a fresh [`World`]; the macro at the end names the backends.

mod devices;
mod keys;
mod mirror;
mod rules;
mod schemas;
mod tenants;

/// Runs every case on the backend that `$open` opens.
macro_rules! conformance {
    ($backend:ident, $open:path, $($module:ident::{$($case:ident),+ $(,)?}),+ $(,)?) => {
        mod $backend {
            $($(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case($open().await).await;
                }
            )+)+
        }
    };
}

macro_rules! on_every_backend {
    ($($cases:tt)+) => {
        conformance!(sqlite, crate::world::World::sqlite, $($cases)+);
    };
}

on_every_backend! {
    tenants::{
        a_tenant_is_found_by_id_and_by_name,
        a_name_is_taken_until_its_tenant_is_deleted,
        a_patch_changes_what_it_names,
        built_in_tenants_stay,
        the_first_start_gives_one_admin_key,
        a_key_that_could_not_be_handed_over_does_not_exist,
        classes_have_defaults_and_keep_their_names,
        a_class_with_devices_stays,
        a_deleted_class_still_has_a_retention,
        the_limit_on_classes_holds,
        what_was_answered_survives_a_restart,
    },
    rules::{
        a_class_says_what_becomes_of_messages,
        what_a_class_cannot_mean_is_refused,
        a_schema_without_a_contract_is_given_to_nobody,
        a_class_goes_before_its_tenant,
        a_profile_has_the_tags_that_the_class_names,
        a_change_says_whether_sessions_end,
    },
    mirror::{
        a_copy_keeps_id_and_version,
        a_registration_elsewhere_is_weighed_here,
        schemas_come_from_one_place,
    },
    keys::{
        a_key_is_what_its_token_says,
        a_deleted_key_is_refused,
        somebody_can_always_administrate,
        lists_are_paged,
    },
    devices::{
        a_device_has_every_field,
        an_unknown_class_is_created,
        the_same_content_again_is_no_error,
        a_deleted_id_is_never_given_again,
        lists_are_filtered_and_paged,
        the_limit_on_devices_holds,
        a_patch_of_a_device,
        a_rotated_token_ends_at_once,
        a_rotated_token_ends_after_its_overlap,
        last_seen_is_written_in_batches_and_never_goes_back,
        a_deleted_tenant_revokes_everything,
    },
    schemas::{
        the_same_text_has_one_id,
        a_version_is_additions_or_a_new_major,
        a_level_decides,
        a_deletion_is_soft_and_then_permanent,
        what_is_in_use_stays,
        references_hold_what_they_name,
        modes_hold,
        settings_are_merged,
        records_are_told_to_the_pipeline,
        many_at_once_get_ids_of_their_own,
    },
}
