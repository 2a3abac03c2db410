// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// maxRequestFile bounds a request_file, in bytes. Those of the admin center have less than 2 KiB.
const maxRequestFile = 64 << 10

// requestFile is what we take over from the body of a presentation request: all but its callback, which is ours, and what
// Authenticator ignores.
type requestFile struct {
	Authority    string `json:"authority"`
	Registration struct {
		ClientName string `json:"clientName"`
		Purpose    string `json:"purpose"`
	} `json:"registration"`
	IncludeReceipt bool                   `json:"includeReceipt"`
	Requested      []requestFileRequested `json:"requestedCredentials"`
}

type requestFileRequested struct {
	Type            string   `json:"type"`
	Purpose         string   `json:"purpose"`
	AcceptedIssuers []string `json:"acceptedIssuers"`
	Configuration   struct {
		Validation struct {
			AllowRevoked         bool  `json:"allowRevoked"`
			ValidateLinkedDomain *bool `json:"validateLinkedDomain"`
			FaceCheck            *struct {
				SourcePhotoClaimName     string `json:"sourcePhotoClaimName"`
				MatchConfidenceThreshold int    `json:"matchConfidenceThreshold"`
			} `json:"faceCheck"`
		} `json:"validation"`
	} `json:"configuration"`
	Constraints []struct {
		ClaimName  string   `json:"claimName"`
		Values     []string `json:"values"`
		Contains   string   `json:"contains"`
		StartsWith string   `json:"startsWith"`
	} `json:"constraints"`
}

// member is what may stand in an object of a request file. nil: whatever it holds is not looked into.
type member map[string]member

var (
	plain member

	requestFileMembers = member{
		"authority": plain, "includeQRCode": plain, "includeReceipt": plain, "callback": plain,
		"registration": {"clientName": plain, "purpose": plain, "logoUrl": plain, "termsOfServiceUrl": plain},
		"requestedCredentials": {
			"type": plain, "purpose": plain, "acceptedIssuers": plain,
			"configuration": {"validation": {
				"allowRevoked": plain, "validateLinkedDomain": plain,
				"faceCheck": {"sourcePhotoClaimName": plain, "matchConfidenceThreshold": plain},
			}},
			"constraints": {"claimName": plain, "values": plain, "contains": plain, "startsWith": plain},
		},
	}
)

// oldMembers are names of the preview and of issuance requests that still stand in samples, above all in their
// presentation_request_config.json, and what to do about each.
var oldMembers = map[string]string{
	"presentation":         "is of the preview; move what it holds to the top of the file",
	"trustedIssuers":       "is of the preview; it is called acceptedIssuers now",
	"credentialType":       "is of the preview; it is called type now",
	"state":                "belongs to callback, and is ours to make; remove it",
	"nonce":                "is ours to make; remove it",
	"issuance":             "asks to issue a credential; a gate asks for one: download the body of a verification request",
	"pin":                  "is for issuing credentials; remove it",
	"claims":               "is for issuing credentials; to demand a value write require in the gate, or constraints in the file",
	"expirationDate":       "is for issuing credentials; for the greatest age write max_credential_age",
	"manifest":             "is for issuing credentials; remove it, or write the option manifest instead of request_file",
	"allowRevoked":         "stands in configuration.validation now",
	"validateLinkedDomain": "stands in configuration.validation now",
	"faceCheck":            "stands in configuration.validation now",
}

// withRequestFile is the credential with what its request file says. What both say must be the same: an operator who reads one of
// them must not be wrong about what is asked.
func (a *App) withRequestFile(c *Credential) (*Credential, error) {
	if c == nil || c.RequestFile == "" {
		return c, nil
	}
	path, err := resolve("request_file", c.RequestFile)
	if err != nil {
		return nil, err
	}
	file, err := readRequestFile(path)
	if err == nil {
		c, err = a.merge(c, file)
	}
	if err != nil {
		return nil, fmt.Errorf("request_file %s: %w", path, err)
	}
	return c, nil
}

func readRequestFile(path string) (*requestFile, error) {
	f, err := os.Open(path) //nolint:gosec // a path from the config
	if err != nil {
		return nil, fmt.Errorf("%w; correct the path, or make the file readable", withoutPath(err))
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxRequestFile+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > maxRequestFile:
		return nil, errors.New("it is larger than 64 KiB, so it is no request body")
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // as editors on Windows write it
	if err := requestFileMembers.check(content, ""); err != nil {
		return nil, err
	}
	file := new(requestFile)
	if err := json.Unmarshal(content, file); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, fmt.Errorf("%s is a %s; the service wants another kind of value there", wrong.Field, wrong.Value)
		}
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	return file, nil
}

// check names the first member that may not stand where it stands. Names are compared exactly, as the service does.
func (m member) check(content []byte, path string) error {
	if trimmed := bytes.TrimSpace(content); len(trimmed) > 0 && trimmed[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(content, &items); err != nil {
			return fmt.Errorf("it is no JSON: %w", err)
		}
		for _, item := range items {
			if err := m.check(item, path); err != nil {
				return err
			}
		}
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil {
		if path == "" {
			return fmt.Errorf("it is no JSON object: %w", err)
		}
		return fmt.Errorf("%s is no object", strings.TrimSuffix(path, "."))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inner, known := m[name]
		mend, old := oldMembers[name]
		switch {
		case !known && old:
			return fmt.Errorf("%s%s %s", path, name, mend)
		case !known:
			return fmt.Errorf("%s%s is unknown to the service; correct its spelling, or remove it. There are: %s",
				path, name, strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		}
		if inner == nil {
			continue
		}
		if err := inner.check(object[name], path+name+"."); err != nil {
			return err
		}
	}
	return nil
}

// merge takes over what the file says.
func (a *App) merge(c *Credential, file *requestFile) (*Credential, error) {
	if len(file.Requested) != 1 {
		return nil, fmt.Errorf("requestedCredentials has %d entries; keep the one that this credential is about, and define a credential for each other", len(file.Requested))
	}
	asked, out := file.Requested[0], *c
	purpose := file.Registration.Purpose // the one that Authenticator shows
	if purpose == "" {
		purpose = asked.Purpose
	}
	for _, text := range []struct {
		member, said string
		option       string
		ours         *string
	}{
		{"authority", file.Authority, "authority", &a.Authority},
		{"registration.clientName", file.Registration.ClientName, "client_name", &a.ClientName},
		{"type", asked.Type, "type", &out.Type},
		{"purpose", purpose, "purpose", &out.Purpose},
	} {
		switch {
		case text.said == "" || text.said == *text.ours:
		case *text.ours == "":
			*text.ours = text.said
		default:
			return nil, fmt.Errorf("%s is %q there, and the option %s is %q; make them the same, or remove it from the file", text.member, text.said, text.option, *text.ours)
		}
	}
	switch {
	case len(asked.AcceptedIssuers) == 0:
	case len(out.Issuers) == 0:
		out.Issuers = asked.AcceptedIssuers
	case !slices.Equal(slices.Sorted(slices.Values(out.Issuers)), slices.Sorted(slices.Values(asked.AcceptedIssuers))):
		return nil, fmt.Errorf("acceptedIssuers are %s there, and the option issuer names %s; remove one of them",
			strings.Join(asked.AcceptedIssuers, ", "), strings.Join(out.Issuers, ", "))
	}
	for _, said := range asked.Constraints {
		out.Constraints = append(slices.Clone(out.Constraints), Constraint{Claim: said.ClaimName, Is: said.Values, Contains: said.Contains, StartsWith: said.StartsWith})
	}
	if err := a.mergeValidation(&out, file.IncludeReceipt, &asked); err != nil {
		return nil, err
	}
	return &out, nil
}

// mergeValidation takes over the checks. Those that the file leaves out are on here, although they are off at the service.
func (a *App) mergeValidation(c *Credential, receipt bool, asked *requestFileRequested) error {
	said := asked.Configuration.Validation
	linked := said.ValidateLinkedDomain
	switch {
	case receipt:
		return errors.New("includeReceipt is true: the receipt has all claims, which are to be dropped unread; set it to false")
	case said.AllowRevoked && !c.InsecureAllowRevoked:
		return errors.New("allowRevoked is true: revoked credentials would open the site; set it to false, or write insecure_allow_revoked as well")
	case linked != nil && !*linked && !c.InsecureSkipLinkedDomain:
		return errors.New("validateLinkedDomain is false: the issuer's domain would not be verified; set it to true, or write insecure_skip_linked_domain as well")
	case linked != nil && *linked && c.InsecureSkipLinkedDomain:
		return errors.New("validateLinkedDomain is true there, and the option insecure_skip_linked_domain is written; remove one of them")
	}
	face := said.FaceCheck
	if face == nil {
		return nil
	}
	from := &FaceCheck{PhotoClaim: face.SourcePhotoClaimName, Threshold: face.MatchConfidenceThreshold}
	if c.FaceCheck == nil {
		c.FaceCheck = from
		return nil
	}
	if c.FaceCheck.Off {
		return errors.New("faceCheck stands there, and the option face_check is off; remove one of them")
	}
	ours, err := a.faceCheckOf(c)
	if err != nil {
		return err
	}
	other := *c
	other.FaceCheck = from
	theirs, err := a.faceCheckOf(&other)
	if err != nil {
		return err
	}
	if *ours != *theirs {
		return fmt.Errorf("faceCheck is %s %d there, and the option face_check is %s %d; make them the same, or remove one of them",
			theirs.SourcePhotoClaim, theirs.Threshold, ours.SourcePhotoClaim, ours.Threshold)
	}
	return nil
}
