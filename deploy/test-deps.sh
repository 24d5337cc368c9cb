#!/usr/bin/env bash
# Installs the programs that the tests talk to: what is there already is left alone.
#
# The distribution's own services are neither started nor enabled. The tests start servers of their
# own, on free ports and in temporary folders.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

if command -v dpkg-query >/dev/null; then
  for package in redis-server postgresql orthanc orthanc-dicomweb dcmtk dicom3tools \
    libxml2-utils openssl poppler-utils rsyslog rsyslog-gnutls chromium chromium-driver; do
    installed "$package" || missing+=("$package")
  done
  # By program, not by package: Node often comes from elsewhere and brings npm along.
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
else
  echo 'test-deps: no Debian or Ubuntu; wanted are redis-server, PostgreSQL, Orthanc with DICOMweb, DCMTK,' \
    'dicom3tools, xmllint, openssl, poppler-utils, rsyslog with GnuTLS, Chromium with its driver, node and npm. Tests of what is missing are skipped.' >&2
fi

# Empty for root; an array, so that nothing is split or globbed.
as_root=()
if ((${#missing[@]})) && ((EUID != 0)); then
  if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
    echo "test-deps: not root and no sudo; as root: apt-get install ${missing[*]}" >&2
    if [[ ${CI:-} == true ]]; then exit 1; fi
    echo 'test-deps: tests of what is missing are skipped.' >&2
    missing=()
  else
    as_root=(sudo)
  fi
fi

if ((${#missing[@]})); then
  echo "test-deps: installing ${missing[*]}"
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    # 101: "action forbidden by policy"; asked by invoke-rc.d whenever a package starts a service.
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
  if [[ -d /run/systemd/system ]]; then
    for service in redis-server postgresql orthanc rsyslog; do
      # Only of packages that came with this call: a service that was here before is somebody's.
      if [[ " ${missing[*]} " == *" $service "* ]]; then
        "${as_root[@]}" systemctl --quiet disable "$service" || true
      fi
    done
  fi
fi

# Each folder's lock is exact. OHIF's names one package of 50 MB, 213 MB unpacked: its published build
# brings everything along. The FHIR server brings the definitions of R4, 115 MB unpacked.
for folder in tests/peer/mllp_listener tests/peer/fhir_server tests/browser/ohif; do
  if ! command -v npm >/dev/null; then
    echo "test-deps: no npm: the tests that need $folder are skipped." >&2
  elif [[ ! $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]]; then
    echo "test-deps: npm ci in $folder"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error
    # npm keeps the time of an unchanged lock; ours says when the folder was last made.
    touch "$folder/node_modules/.package-lock.json"
  fi
done
