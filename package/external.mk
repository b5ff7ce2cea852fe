include $(sort $(wildcard $(BR2_EXTERNAL_SMOLNVR_PATH)/smolnvr/*.mk))
