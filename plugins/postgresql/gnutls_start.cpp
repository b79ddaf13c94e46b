// SPDX-License-Identifier: MIT
//
// GnuTLS is not made ready merely because it is there. Debian's libpq links libldap, to fetch a
// service's settings from a directory server, and libldap links GnuTLS, whose constructor makes it
// ready as soon as it is loaded: 0.7 MiB that stay, for what hardly anybody uses.
//
// libldap does that itself before its first use of it (libraries/libldap/tls_g.c, tlsg_init()), so
// that a directory server behind TLS is reached as before. GnuTLS's constructor asks this function
// whether somebody will (GnuTLS manual, GNUTLS_SKIP_GLOBAL_INIT); its own, which says no, is a weak
// one. The dynamic linker looks into the module that is loaded before it looks into what that
// brings along. Where libpq comes without GnuTLS, nobody asks.

// NOLINTNEXTLINE(readability-identifier-naming): the name is GnuTLS's
extern "C" [[gnu::visibility("default")]] int _gnutls_global_init_skip() {
  return 1;
}
