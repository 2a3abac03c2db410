// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// readName reads the name of a credential or partner and refuses one that is taken.
func readName(d *caddyfile.Dispenser, what, example string, taken func(string) bool) (string, error) {
	if !d.NextArg() {
		return "", d.Errf("%s needs a name, for example: %s %s { … }", what, what, example)
	}
	name := d.Val()
	switch {
	case !validName(name):
		return "", d.Errf("%s %q: the name may have only letters, digits, - and _, at most 32", what, name)
	case taken(name):
		return "", d.Errf("%s %q is defined twice; rename one", what, name)
	case d.NextArg():
		return "", d.Errf("%s %s has the surplus argument %q; remove it", what, name, d.Val())
	}
	return name, nil
}

// laterChecks judge what refers to something that may be defined further down, once all is read.
type laterChecks []func() error

func (l *laterChecks) add(check func() error) { *l = append(*l, check) }

func (l *laterChecks) run() error {
	for _, check := range *l {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// readCredential reads
//
//	credential <name> {
//		type               <type>
//		issuer             <did>...
//		request_file       <json file>
//		manifest           <https url or file>
//		face_check         [<photo claim>] [<threshold>] | off
//		linked_domain      <host>...
//		constraint         <claim> is|contains|starts_with <value>...
//		keep               <claim>...
//		subject_claim      <claim>
//		max_credential_age <duration>
//		purpose            <text>
//		display_name       <text>
//		idv                <partner>...
//		no_status
//		insecure_allow_revoked
//		insecure_skip_linked_domain
//	}
func (a *App) readCredential(d *caddyfile.Dispenser, later *laterChecks) error {
	start := here(d)
	name, err := readName(d, "credential", "employee", func(name string) bool { return a.Credentials[name] != nil })
	if err != nil {
		return err
	}
	c := &Credential{}
	if a.Credentials == nil {
		a.Credentials = map[string]*Credential{}
	}
	a.Credentials[name] = c
	idv := args(&c.IDV)
	readIDV := idv.read
	idv.read = func(d *caddyfile.Dispenser) error {
		line, before := here(d), len(c.IDV)
		if err := readIDV(d); err != nil {
			return err
		}
		for _, partner := range c.IDV[before:] {
			later.add(func() error {
				if a.IDV[partner] == nil {
					return line.WrapErr(undefinedPartner(partner))
				}
				return nil
			})
		}
		return nil
	}
	if err := readBlock(d, "credential "+name, map[string]option{
		"type":                        oneArg(&c.Type, checkType),
		"issuer":                      args(&c.Issuers, checkDID("issuer")),
		"request_file":                oneReference(&c.RequestFile),
		"manifest":                    oneReference(&c.Manifest, checkManifestName),
		"face_check":                  {read: c.readFaceCheck},
		"linked_domain":               args(&c.LinkedDomains, checkLinkedDomain),
		"constraint":                  {repeats: true, read: c.readConstraint},
		"keep":                        args(&c.Keep),
		"subject_claim":               oneArg(&c.SubjectClaim),
		"max_credential_age":          duration(&c.MaxCredentialAge, 0),
		"purpose":                     oneArg(&c.Purpose, checkTextOf("purpose", 200)),
		"display_name":                oneArg(&c.DisplayName, checkTextOf("display_name", 100)),
		"idv":                         idv,
		"no_status":                   flag(&c.NoStatus),
		"insecure_allow_revoked":      flag(&c.InsecureAllowRevoked),
		"insecure_skip_linked_domain": flag(&c.InsecureSkipLinkedDomain),
	}); err != nil {
		return err
	}
	later.add(func() error { // the partners' presets say what the credential leaves out
		if _, err := a.buildCredential(name, c.withoutFiles()); err != nil {
			return start.WrapErr(fmt.Errorf("credential %s: %w", name, err))
		}
		return nil
	})
	return nil
}

// withoutFiles is the credential as far as it can be judged before its files are read, which happens at load.
func (c *Credential) withoutFiles() *Credential {
	if c.RequestFile == "" && c.Manifest == "" {
		return c
	}
	judged := *c
	if judged.Type == "" {
		judged.Type = unknownType
		if face := c.FaceCheck; face == nil || !face.Off && face.PhotoClaim == "" { // which the type decides
			judged.FaceCheck = &FaceCheck{PhotoClaim: "(in its file)"}
			if face != nil {
				judged.FaceCheck.Threshold = face.Threshold
			}
		}
	}
	if len(judged.Issuers) == 0 {
		judged.Issuers = []string{unknownIssuer}
	}
	return &judged
}

func (c *Credential) readFaceCheck(d *caddyfile.Dispenser) error {
	c.FaceCheck = &FaceCheck{}
	for i, arg := range d.RemainingArgs() {
		threshold, err := strconv.Atoi(arg)
		switch {
		case i == 0 && arg == "off":
			c.FaceCheck.Off = true
		case i > 0 && c.FaceCheck.Off:
			return d.Errf("face_check off takes nothing behind it; remove %q", arg)
		case err == nil && c.FaceCheck.Threshold == 0:
			if err := checkThreshold(threshold); err != nil {
				return d.WrapErr(err)
			}
			c.FaceCheck.Threshold = threshold
		case err != nil && i == 0 && arg != "" && literal("", arg) == nil:
			c.FaceCheck.PhotoClaim = arg
		default:
			return d.Errf("face_check: %q is not understood; write: face_check [<photo claim>] [<threshold 50 to 100>], or face_check off", arg)
		}
	}
	return nil
}

func (c *Credential) readConstraint(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) < 3 {
		return d.Err("constraint: write constraint <claim> is|contains|starts_with <value>")
	}
	if err := checkRule("constraint", words[0], words[2:]); err != nil {
		return d.WrapErr(err)
	}
	constraint := Constraint{Claim: words[0]}
	values := words[2:]
	switch words[1] {
	case "is":
		constraint.Is = values
	case "contains", "starts_with":
		if len(values) != 1 {
			return d.Errf("constraint %s %s takes one value; put one with blanks into quotes", words[0], words[1])
		}
		if words[1] == "contains" {
			constraint.Contains = values[0]
		} else {
			constraint.StartsWith = values[0]
		}
	default:
		return d.Errf("constraint %s: %q must be one of is, contains, starts_with", words[0], words[1])
	}
	c.Constraints = append(c.Constraints, constraint)
	return nil
}

// checkRule refuses what no claim can be or equal: an empty claim or value, a value twice, a placeholder.
func checkRule(option, claim string, values []string) error {
	if claim == "" {
		return fmt.Errorf("%s: the claim is empty; write %s <claim> …", option, option)
	}
	option += " " + claim
	for i, value := range values {
		switch {
		case value == "":
			return fmt.Errorf("%s: a value is empty; write one, or remove it", option)
		case slices.Contains(values[:i], value):
			return fmt.Errorf("%s has %q twice; remove one", option, value)
		}
		if err := literal(option, value); err != nil {
			return fmt.Errorf("%w; to compare with a value of the request write bind", err)
		}
	}
	return nil
}

// readIDV reads
//
//	idv <name> {
//		partner         <preset>
//		url             <https url, with {token} or without>
//		org_id          <id>
//		token_parameter <name>
//		method          get|post
//		audience        <text>
//		lifetime        <duration>
//		claims          minimal|hardened
//		display_name    <text>
//		logo            <file>
//		note            <text>
//	}
func (a *App) readIDV(d *caddyfile.Dispenser) error {
	start := here(d)
	name, err := readName(d, "idv", "au10tix", func(name string) bool { return a.IDV[name] != nil })
	if err != nil {
		return err
	}
	partner := &IDV{}
	if a.IDV == nil {
		a.IDV = map[string]*IDV{}
	}
	a.IDV[name] = partner
	if err := readBlock(d, "idv "+name, map[string]option{
		"partner":         oneArg(&partner.Partner, checkPreset),
		"url":             oneArg(&partner.URL),
		"org_id":          oneArg(&partner.OrgID, checkTextOf("org_id", 256)),
		"token_parameter": oneArg(&partner.TokenParameter),
		"method":          oneArg(&partner.Method, oneOf("method", "get", "post")),
		"audience":        oneArg(&partner.Audience),
		"lifetime":        duration(&partner.Lifetime, maxKickstartLifetime),
		"claims":          oneArg(&partner.Claims, oneOf("claims", "minimal", "hardened")),
		"display_name":    oneArg(&partner.DisplayName, checkTextOf("display_name", 100)),
		"logo":            oneArg(&partner.Logo, checkLogoName),
		"note":            oneArg(&partner.Note, checkTextOf("note", 200)),
	}); err != nil {
		return err
	}
	// Partners on loopback over plain HTTP are judged at load, when insecure_loopback_http is known.
	if _, err := partner.build(name, idvredirect.InsecureLoopbackHTTP()); err != nil {
		return start.WrapErr(fmt.Errorf("idv %s: %w", name, err))
	}
	return nil
}
