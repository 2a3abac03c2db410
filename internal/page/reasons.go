// SPDX-License-Identifier: Apache-2.0

package page

import (
	"maps"
	"slices"
)

// advice is what helps after a refusal; it decides which way the page shows first.
type advice string

const (
	adviceRetry advice = "retry" // the same card may well pass
	adviceOther advice = "other" // another card of this or another kind is needed
	adviceRenew advice = "renew" // the issuer has to make a new card first
	adviceAsk   advice = "ask"   // the visitor cannot mend it
)

// refusal is how one reason reads.
type refusal struct {
	text   string // key of the text that says what happened
	todo   string // key of the text that says what to do
	advice advice
}

// refusals is the verifier's closed list of reasons and some of the gate's, by the words they use; strings, so that pages can be
// rendered without them.
// Several reasons share a text where the difference would only confuse, or would tell a malicious holder what to change.
// None names a claim, a value or a score.
var refusals = map[string]refusal{
	"face_check_failed":  {"no_face_check_failed", "todo_face", adviceRetry},
	"check_failed":       {"no_check_failed", "todo_check", adviceRetry},
	"face_check_low":     {"no_face_check_low", "todo_face", adviceRetry},
	"face_check_missing": {"no_face_check_missing", "todo_retry", adviceRetry},
	"malformed":          {"no_malformed", "todo_retry", adviceRetry},
	"not_verified":       {"no", "todo_retry", adviceRetry},
	"no_subject":         {"no_malformed", "todo_retry", adviceRetry},
	"service_refused":    {"no_service_refused", "todo_retry", adviceRetry},

	"presentation_too_old": {"no_presentation_too_old", "todo_retry", adviceRetry},
	"presentation_future":  {"no_malformed", "todo_retry", adviceRetry},
	"policy_changed":       {"no_policy_changed", "todo_retry", adviceRetry},

	"holder_limited": {"no_holder_limited", "todo_wait", adviceRetry},
	"scanned_twice":  {"no_scanned_twice", "todo_anew", adviceRetry},

	"bind_mismatch":    {"no_bind_mismatch", "todo_own", adviceOther},
	"no_credential":    {"no", "todo_other", adviceOther},
	"extra_credential": {"no_extra_credential", "todo_other", adviceOther},
	"wrong_type":       {"no_wrong_type", "todo_other", adviceOther},
	"wrong_issuer":     {"no_wrong_issuer", "todo_other", adviceOther},
	"other_credential": {"no_wrong_type", "todo_other", adviceOther},
	"constraint":       {"no_constraint", "todo_other", adviceOther},
	"required_claim":   {"no_required_claim", "todo_other", adviceOther},

	"revoked":            {"no_revoked", "todo_renew", adviceRenew},
	"revoked_by_service": {"no_revoked", "todo_renew", adviceRenew},
	"credential_expired": {"no_credential_expired", "todo_renew", adviceRenew},
	"credential_too_old": {"no_credential_too_old", "todo_renew", adviceRenew},
	"credential_undated": {"no_credential_too_old", "todo_renew", adviceRenew},

	"credential_future":   {"no_credential_future", "todo_ask", adviceAsk},
	"status_missing":      {"no_status_missing", "todo_ask", adviceAsk},
	"status_unknown":      {"no_status_missing", "todo_ask", adviceAsk},
	"domain_mismatch":     {"no_domain_mismatch", "todo_ask", adviceAsk},
	"invalid_requirement": {"no", "todo_ask", adviceAsk},
}

// unknownRefusal is for words of a newer verifier than these pages.
var unknownRefusal = refusal{"no", "todo_retry", adviceRetry}

// RefusalReasons lists the words that [Refused.Reason] knows.
func RefusalReasons() []string { return slices.Sorted(maps.Keys(refusals)) }

// startReasons are the texts for those who have been here before, by the words that a gate uses: the verifier's reasons for
// not accepting an earlier presentation, and some of the gate's own.
var startReasons = map[string]string{
	"presentation_too_old": "again_presentation_too_old",
	"presentation_future":  "again_presentation_too_old",
	"face_check_low":       "again_face_check_low",
	"face_check_missing":   "again_face_check_missing",
	"required_claim":       "again_required_claim",
	"constraint":           "again_constraint",
	"wrong_type":           "again_wrong_type",
	"other_credential":     "again_wrong_type",
	"wrong_issuer":         "again_wrong_issuer",
	"credential_expired":   "again_credential_expired",
	"credential_too_old":   "again_credential_too_old",
	"policy_changed":       "again_policy_changed",

	"revoked": "again_card_revoked",

	"bind_mismatch":   "again_bind_mismatch",   // the card that was shown is another person's
	"session_expired": "again_session_expired", // the session reached its end, or was idle too long
	"session_revoked": "again_revoked",         // an administrator ended the session
	"signed_out":      "again_signed_out",      // the visitor did
}

// StartReasons lists the words that [Start.Reason] knows.
func StartReasons() []string { return slices.Sorted(maps.Keys(startReasons)) }
