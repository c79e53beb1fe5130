"""Answers as models of one or two billion parameters write them; what no passage supports stands in ⟦ ⟧."""

import pytest
from hits import hit

from kb_assistant.answering.grounding.ground import ground

EN = [
    hit(
        1,
        "To connect from home, open the Northwind VPN client and sign in with your staff account.\n"
        "Approve the sign-in on your phone.\nThe connection closes after 12 hours.",
        "vpn.md",
        "Remote access",
    ),
    hit(
        2,
        "| Leave | Days a year | Approved by |\n| --- | --- | --- |\n| Annual leave | 15 | Ann Lee |\n"
        "| Sick leave | 8 | Team lead |\n| Parental leave | 90 | Human Resources |",
        "leave.md",
        "Leave",
    ),
    hit(
        3,
        "Travel claims are submitted within 30 days of the trip. Attach the original receipts. "
        "Claims above 500 euros need the approval of the finance director.",
        "travel.md",
        "Travel",
    ),
    hit(
        4,
        "Run this to restart the service:\n```\nsudo systemctl restart northwind-sync\n```\n"
        "The log is in /var/log/northwind/sync.log.",
        "sync.md",
        "Sync service",
    ),
]
ZH = [
    hit(
        1,
        "员工每年享有15天年假。年假应提前3个工作日在OA系统中申请，由部门经理批准。未休年假可结转至次年3月31日。",
        "年假.md",
        "休假制度",
    ),
    hit(
        2,
        "报销流程：\n1. 在财务系统填写报销单；\n2. 上传发票扫描件；\n3. 部门经理审批；\n4. 财务部在5个工作日内付款。",
        "报销.md",
        "报销",
    ),
    hit(
        3,
        "| 出差级别 | 住宿标准 | 伙食补贴 |\n| --- | --- | --- |\n| 员工 | 每晚400元 | 每天80元 |\n"
        "| 经理 | 每晚600元 | 每天100元 |",
        "差旅.md",
        "差旅标准",
    ),
    hit(
        4,
        "办理入职需携带身份证原件、学历证书复印件和两张一寸照片。入职当天领取工牌，工牌遗失需缴纳20元补办费。",
        "入职.md",
        "入职",
    ),
]
ANSWERS = [
    pytest.param(
        EN,
        """\
To connect from home:

1. Open the Northwind VPN client.
2. Sign in with your staff account.
3. Approve the sign-in on your phone.

The connection closes after 12 hours. [1]""",
        """\
To connect from home:

1. Open the Northwind VPN client. [1]
2. Sign in with your staff account. [1]
3. Approve the sign-in on your phone. [1]

The connection closes after 12 hours. [1]""",
        id="numbered steps after a lead-in",
    ),
    pytest.param(
        EN,
        """\
There are three steps to connect:
1. **Open the client**: Open the Northwind VPN client.
2. **Sign in**: Use your staff account to sign in. [1]
3. **Approve**: Approve the sign-in on your phone. [1]""",
        """\
There are three steps to connect:
1. **Open the client**: Open the Northwind VPN client. [1]
2. **Sign in**: Use your staff account to sign in. [1]
3. **Approve**: Approve the sign-in on your phone. [1]""",
        id="the number of steps in the lead-in",
    ),
    pytest.param(
        EN,
        """\
Here are the steps:

Step 1: Open the Northwind VPN client [1].
Step 2: Sign in with your staff account [1].
Step 3: Restart your computer twice [1].""",
        """\
Here are the steps:

Step 1: Open the Northwind VPN client. [1]
Step 2: Sign in with your staff account. [1]
Step 3: ⟦Restart your computer twice.⟧""",
        id='"Step 1:" with an invented step',
    ),
    pytest.param(
        EN,
        """\
- Annual leave: 15 days a year, approved by Ann Lee [2]
- Sick leave: 8 days a year [2]
- Parental leave: 120 days a year [2]""",
        """\
- Annual leave: 15 days a year, approved by Ann Lee [2]
- Sick leave: 8 days a year [2]
- ⟦Parental leave: 120 days a year⟧""",
        id="bullets with an invented number",
    ),
    pytest.param(
        EN,
        """\
## Leave

Staff have the following leave:

* **Annual leave** – 15 days
* **Sick leave** – 8 days
* **Parental leave** – 90 days

## Travel

Travel claims are submitted within 30 days of the trip.""",
        """\
## Leave

Staff have the following leave:

* **Annual leave** – 15 days [2]
* **Sick leave** – 8 days [2]
* **Parental leave** – 90 days [2]

## Travel

Travel claims are submitted within 30 days of the trip. [3]""",
        id="headings and bullets",
    ),
    pytest.param(
        EN,
        """\
| Leave | Days |
|---|---|
| Annual leave | 15 [2] |
| Sick leave | 8 [2] |
| Parental leave | 90 [2] |""",
        """\
| Leave | Days |
|---|---|
| Annual leave | 15 |
| Sick leave | 8 |
| Parental leave | 90 |

[2]""",
        id="a table with citations in its cells",
    ),
    pytest.param(
        EN,
        """\
The leave days are as follows:

| No. | Leave | Days |
|---|---|---|
| 1 | Annual leave | 15 |
| 2 | Sick leave | 21 |

Parental leave is 90 days.""",
        """\
The leave days are as follows:

⟦| No. | Leave | Days |
|---|---|---|
| 1 | Annual leave | 15 |
| 2 | Sick leave | 21 |⟧

[2]

Parental leave is 90 days. [2]""",
        id="a table with a wrong number",
    ),
    pytest.param(
        EN,
        """\
You can restart it with this command:

```bash
sudo systemctl restart northwind-sync
```

The log is in /var/log/northwind/sync.log [4].""",
        """\
You can restart it with this command:

```bash
sudo systemctl restart northwind-sync
```

[4]

The log is in /var/log/northwind/sync.log. [4]""",
        id="a command in a code block",
    ),
    pytest.param(
        EN,
        """\
Use this script:

```python
items = load()
print(items[1])
```

The log is in `/var/log/northwind/sync.log` [4].""",
        """\
Use this script:

```python
items = load()
print(items[1])
```

The log is in `/var/log/northwind/sync.log`. [4]""",
        id="code with an index in brackets",
    ),
    pytest.param(
        EN,
        """\
To claim travel costs: 1. submit the claim within 30 days of the trip; 2. attach the original receipts; 3. get \
the approval of the finance director for claims above 500 euros. [3]""",
        """\
To claim travel costs: 1. submit the claim within 30 days of the trip; [3] 2. attach the original receipts; [3] \
3. get the approval of the finance director for claims above 500 euros. [3]""",
        id="a list that runs on in its line",
    ),
    pytest.param(
        EN,
        """\
**Travel claims**

Submit them within 30 days of the trip. [3] Attach the original receipts. [3] The hotline is +49 30 1234567. [3]""",
        """\
**Travel claims**

Submit them within 30 days of the trip. [3] Attach the original receipts. [3] ⟦The hotline is +49 30 1234567.⟧""",
        id="a bold heading and an invented number",
    ),
    pytest.param(
        EN,
        """\
Based on the passages, travel claims are submitted within 30 days of the trip [3]. Claims above 500 euros need \
the approval of the finance director [3].

Sources: [3]""",
        """\
Based on the passages, travel claims are submitted within 30 days of the trip. [3] Claims above 500 euros need \
the approval of the finance director. [3]""",
        id="a preamble and a line of sources",
    ),
    pytest.param(
        EN,
        """\
1. **Leave**
   - Annual leave is 15 days.
   - Sick leave is 8 days.
2. **Travel**
   - Attach the original receipts.
   - Claims above 700 euros need the approval of the finance director.""",
        """\
1. **Leave**
   - Annual leave is 15 days. [2]
   - Sick leave is 8 days. [2]
2. **Travel**
   - Attach the original receipts. [3]
   - ⟦Claims above 700 euros need the approval of the finance director.⟧""",
        id="nested lists with an invented number",
    ),
    pytest.param(
        EN,
        """\
a) Submit the claim within 30 days.
b) Attach the original receipts.""",
        """\
a) Submit the claim within 30 days. [3]
b) Attach the original receipts. [3]""",
        id="letters as list numbers",
    ),
    pytest.param(
        ZH,
        """\
报销流程如下：
1. 在财务系统填写报销单；
2. 上传发票扫描件；
3. 部门经理审批；
4. 财务部在5个工作日内付款。[2]""",
        """\
报销流程如下：
1. 在财务系统填写报销单； [2]
2. 上传发票扫描件； [2]
3. 部门经理审批； [2]
4. 财务部在5个工作日内付款。 [2]""",
        id="中文编号步骤",
    ),
    pytest.param(
        ZH,
        """\
报销需要以下四个步骤：

1、填写报销单：在财务系统填写报销单【2】
2、上传发票扫描件【2】
3、部门经理审批【2】
4、财务部在10个工作日内付款【2】""",
        """\
报销需要以下四个步骤：

1、填写报销单：在财务系统填写报销单 [2]
2、上传发票扫描件 [2]
3、部门经理审批 [2]
4、⟦财务部在10个工作日内付款⟧""",
        id="顿号编号，一处数字不对",
    ),
    pytest.param(
        ZH,
        """\
根据资料，报销流程分为4步：

**第一步：** 在财务系统填写报销单
**第二步：** 上传发票扫描件
**第三步：** 部门经理审批
**第四步：** 财务部5个工作日内付款""",
        """\
根据资料，报销流程分为4步：

**第一步：** 在财务系统填写报销单 [2]
**第二步：** 上传发票扫描件 [2]
**第三步：** 部门经理审批 [2]
**第四步：** 财务部5个工作日内付款 [2]""",
        id="第一步、第二步",
    ),
    pytest.param(
        ZH,
        """\
办理入职需要携带：①身份证原件；②学历证书复印件；③两张一寸照片。[4]""",
        """\
办理入职需要携带：①身份证原件； [4]②学历证书复印件； [4]③两张一寸照片。 [4]""",
        id="圈码编号",
    ),
    pytest.param(
        ZH,
        """\
入职需携带以下材料：
（1）身份证原件
（2）学历证书复印件
（3）两张一寸照片

工牌遗失需缴纳50元补办费。""",
        """\
入职需携带以下材料：
（1）身份证原件 [4]
（2）学历证书复印件 [4]
（3）两张一寸照片 [4]

⟦工牌遗失需缴纳50元补办费。⟧""",
        id="全角括号编号，后有一句不对",
    ),
    pytest.param(
        ZH,
        """\
### 差旅标准

| 级别 | 住宿 | 伙食 |
| --- | --- | --- |
| 员工 | 每晚400元 | 每天80元 |
| 经理 | 每晚600元 | 每天100元 |

以上标准由财务部制定。""",
        """\
### 差旅标准

| 级别 | 住宿 | 伙食 |
| --- | --- | --- |
| 员工 | 每晚400元 | 每天80元 |
| 经理 | 每晚600元 | 每天100元 |

[3]

⟦以上标准由财务部制定。⟧""",
        id="中文表格，后有一句无依据",
    ),
    pytest.param(
        ZH,
        """\
| 级别 | 住宿标准 |
| 员工 | 每晚400元 |
| 经理 | 每晚800元 |""",
        """\
⟦| 级别 | 住宿标准 |
| 员工 | 每晚400元 |
| 经理 | 每晚800元 |⟧

[3]""",
        id="没有分隔行的表格，一处数字不对",
    ),
    pytest.param(
        ZH,
        """\
员工每年享有15天年假 [1]，应提前3个工作日在OA系统中申请 [1]。未休年假可结转至次年3月31日 [1]。""",
        """\
员工每年享有15天年假，应提前3个工作日在OA系统中申请。 [1]未休年假可结转至次年3月31日。 [1]""",
        id="句中引用",
    ),
    pytest.param(
        ZH,
        """\
一、年假
员工每年享有15天年假。
二、报销
财务部在5个工作日内付款。
三、其他
加班费每小时300元。""",
        """\
一、年假
员工每年享有15天年假。 [1]
二、报销
财务部在5个工作日内付款。 [2]
三、其他
⟦加班费每小时300元。⟧""",
        id="中文章节",
    ),
    pytest.param(
        ZH,
        """\
• 年假：15天
• 申请：提前3个工作日在OA系统中申请
• 审批：部门经理批准""",
        """\
• 年假：15天 [1]
• 申请：提前3个工作日在OA系统中申请 [1]
• 审批：部门经理批准 [1]""",
        id="圆点列表",
    ),
    pytest.param(
        ZH,
        """\
答案：15天。""",
        """\
答案：15天。 [1]""",
        id="答案前缀",
    ),
    pytest.param(
        ZH,
        """\
[1] 员工每年享有15天年假。
[2] 财务部在5个工作日内付款。""",
        """\
员工每年享有15天年假。 [1]
财务部在5个工作日内付款。 [2]""",
        id="引用在句首",
    ),
    pytest.param(
        ZH,
        """\
年假有15天。

注意：
- 年假应提前3个工作日申请
- 由总经理王强批准""",
        """\
年假有15天。 [1]

注意：
- 年假应提前3个工作日申请 [1]
- ⟦由总经理王强批准⟧""",
        id="注意事项中编造的人名",
    ),
    pytest.param(
        EN,
        """\
According to the documents, there are 3 types of leave. [2]
1. Annual leave (15 days)
2. Sick leave (8 days)
3. Parental leave (90 days)""",
        """\
According to the documents, there are 3 types of leave. [2]
1. Annual leave (15 days) [2]
2. Sick leave (8 days) [2]
3. Parental leave (90 days) [2]""",
        id="a count of what is listed",
    ),
]


@pytest.mark.parametrize(("passages", "written", "expected"), ANSWERS)
def test_a_written_answer(passages, written, expected) -> None:
    grounded = ground(written, passages)
    shown = grounded.text
    for start, end in reversed(grounded.unsupported):
        shown = f"{shown[:start]}⟦{shown[start:end]}⟧{shown[end:]}"
    assert shown == expected
    for citation in grounded.citations:
        assert citation.quote in passages[citation.number - 1].text
