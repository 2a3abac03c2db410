// SPDX-License-Identifier: Apache-2.0

package page

import "fmt"

// choiceForm is a [Choice] with what its form needs, so that a template can render it without looking elsewhere.
type choiceForm struct {
	Choice
	Action      string // where the form posts to; empty when there is no credential to ask for
	Token       string
	Transaction string // the one that is followed by a new code; may be empty
	Label       string // "Show “…” instead"
	Partners    []partnerForm
}

// partnerForm is a [Partner] with what its form needs.
type partnerForm struct {
	Partner
	Action     string
	Token      string
	Credential string
	Label      string // "Get it from …"
	Logo       string // path; may be empty
}

// forms completes choices. m has its defaults filled in.
func (r *Renderer) forms(m *Meta, token, partnerText string, choices []Choice) []choiceForm {
	out := make([]choiceForm, len(choices))
	for i := range choices {
		out[i] = r.form(m, token, partnerText, &choices[i])
	}
	return out
}

// form completes one choice; partnerText is the key of what its partners' buttons say.
func (r *Renderer) form(m *Meta, token, partnerText string, c *Choice) choiceForm {
	out := choiceForm{Choice: *c, Token: token}
	if c.Credential != "" {
		out.Action = m.Base + "/request"
	}
	if out.Name == "" {
		out.Name = c.Credential
	}
	out.Label = fmt.Sprintf(r.texts["retry_use"], out.Name)
	if len(c.Partners) == 0 {
		return out
	}
	out.Partners = make([]partnerForm, len(c.Partners))
	for i, p := range c.Partners {
		if p.DisplayName == "" {
			p.DisplayName = p.Name
		}
		out.Partners[i] = partnerForm{
			Partner: p, Action: m.Base + "/idv", Token: token, Credential: c.Credential,
			Label: fmt.Sprintf(r.texts[partnerText], p.DisplayName),
			Logo:  r.picturePath(m.Base, r.partnerLogos[p.Name]),
		}
	}
	return out
}
