// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// discard is a response nobody reads, so that only our own work is measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkQRCode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := page.QRCode(deepLink); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWait(b *testing.B) {
	r := newRenderer(b, page.Config{Brand: "Contoso Payroll"})
	p := page.Wait{
		Meta:  page.Meta{Site: "payroll.contoso.com", SupportCode: "7QnYv0lzA0uT5f5k.1", FormActions: []string{"https://idv.example"}},
		Token: "token", Transaction: "transaction", State: page.StateCreated, DeepLink: deepLink, ExpiresIn: 5 * time.Minute,
		Choice: page.Choice{Credential: "employee", Name: "Employee card", FaceCheck: true}, CanRenew: true,
	}
	w := discard{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		r.Wait(w, p)
	}
}

func BenchmarkStart(b *testing.B) {
	r := newRenderer(b, page.Config{Brand: "Contoso Payroll"})
	p := page.Start{
		Meta:  page.Meta{Site: "payroll.contoso.com", SupportCode: "7QnYv0lzA0uT5f5k.1", FormActions: []string{"https://idv.example"}},
		Token: "token", Destination: "payroll.contoso.com/payslips", Reason: "presentation_too_old",
		Choices: []page.Choice{{
			Credential: "employee", Name: "Employee card", FaceCheck: true,
			Partners: []page.Partner{{Name: "au10tix", DisplayName: "AU10TIX"}},
		}},
	}
	w := discard{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		r.Start(w, p)
	}
}
