################################################################################
#
# smolnvr
#
################################################################################

SMOLNVR_VERSION = 0.1.0
# integrate.sh puts the archive beside this file.
SMOLNVR_SITE = file://$(patsubst %/,%,$(SMOLNVR_PKGDIR))
SMOLNVR_LICENSE = MIT
SMOLNVR_LICENSE_FILES = LICENSE

ifeq ($(BR2_PACKAGE_SMOLNVR_FROM_SOURCE),y)
SMOLNVR_SOURCE = smolnvr-$(SMOLNVR_VERSION)-vendored.tar.gz
SMOLNVR_ROOT = $(@D)/overlay
SMOLNVR_BINARY = $(@D)/target/$(RUSTC_TARGET_NAME)/release/smolnvr
SMOLNVR_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=z \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
SMOLNVR_CARGO_BUILD_OPTS = --bin smolnvr
ifeq ($(BR2_PACKAGE_SMOLNVR_PICTURES),y)
SMOLNVR_CARGO_BUILD_OPTS += --features pictures
endif
else
SMOLNVR_SOURCE = smolnvr-$(SMOLNVR_VERSION)-armv7.tar.gz
SMOLNVR_ROOT = $(@D)
SMOLNVR_BINARY = $(@D)/usr/bin/smolnvr
endif

define SMOLNVR_INSTALL_TARGET_CMDS
	$(INSTALL) -m 755 -d $(TARGET_DIR)/etc/default
	$(INSTALL) -m 644 -t $(TARGET_DIR)/etc/default $(SMOLNVR_ROOT)/etc/default/smolnvr
	$(INSTALL) -m 600 -t $(TARGET_DIR)/etc $(SMOLNVR_ROOT)/etc/smolnvr.toml

	$(INSTALL) -m 755 -d $(TARGET_DIR)/etc/init.d
	$(INSTALL) -m 755 -t $(TARGET_DIR)/etc/init.d $(SMOLNVR_ROOT)/etc/init.d/S97smolnvr

	$(INSTALL) -m 755 -d $(TARGET_DIR)/usr/bin
	$(INSTALL) -m 755 -t $(TARGET_DIR)/usr/bin $(SMOLNVR_BINARY)
endef

ifeq ($(BR2_PACKAGE_SMOLNVR_FROM_SOURCE),y)
$(eval $(cargo-package))
else
$(eval $(generic-package))
endif
